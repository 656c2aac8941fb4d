"""The environment file: its models, its rules, reading it and writing it. No cluster is touched.

patterns, paths, parts and models say what a file may hold, rules what its parts must be to each
other; form says how Prefect's pages show them, regions makes an environment of two;
source reads YAML that remembers its lines, words puts what is wrong in a person's words.
"""

from isthmus.environment.cloud import Kce, Site
from isthmus.environment.loading import load
from isthmus.environment.models import ClusterSpec, Environment, Federation, Provider, Stack
from isthmus.environment.parts import (
    Amount,
    Images,
    Overlays,
    Resources,
    VerificationSpec,
)
from isthmus.environment.paths import FilePath
from isthmus.environment.patterns import Region
from isthmus.environment.regions import name as pair_name
from isthmus.environment.regions import pair
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
