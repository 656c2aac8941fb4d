"""The environment file: its models, its rules, reading it and writing it. No cluster is touched.

formats, paths, sections and models say what a file may hold, rules what its parts must be to each
other; form says how Prefect's pages show them, region_pair makes an environment of two; source
reads YAML that remembers its lines, messages puts what is wrong (diagnostics) in a person's words.
"""

from isthmus.environment.formats import Region
from isthmus.environment.kce import Kce, Site
from isthmus.environment.loading import load
from isthmus.environment.models import ClusterSpec, Environment, Federation, Provider, Stack
from isthmus.environment.paths import FilePath
from isthmus.environment.region_pair import name as pair_name
from isthmus.environment.region_pair import pair
from isthmus.environment.sections import (
    Amount,
    Images,
    Overlays,
    Resources,
    VerificationSpec,
)
from isthmus.environment.timeouts import Timeouts
from isthmus.environment.writing import dumps, example

__all__ = [
    "Amount",
    "ClusterSpec",
    "Environment",
    "Federation",
    "FilePath",
    "Images",
    "Kce",
    "Overlays",
    "Provider",
    "Region",
    "Resources",
    "Site",
    "Stack",
    "Timeouts",
    "VerificationSpec",
    "dumps",
    "example",
    "load",
    "pair",
    "pair_name",
]
