"""The environment file: its models, its rules, reading it and writing it. No cluster is touched.

formats, paths, sections and models say what a file may hold, rules what its parts must be to each
other; form says how Prefect's pages show them, region_pair makes an environment of two; source
reads YAML that remembers its lines, messages puts what is wrong (diagnostics) in a person's words.
"""

from isthmus.environment.formats import RegionName
from isthmus.environment.kce import Kce, Site
from isthmus.environment.loading import load
from isthmus.environment.models import (
    ClusterSpec,
    Environment,
    FederationMode,
    ProviderName,
    StackName,
)
from isthmus.environment.paths import FilePath
from isthmus.environment.region_pair import name as pair_name
from isthmus.environment.region_pair import pair
from isthmus.environment.sections import (
    Images,
    Overlays,
    ResourceRequests,
    Resources,
    ServiceSpec,
    VerificationSpec,
)
from isthmus.environment.timeouts import Timeouts
from isthmus.environment.writing import dumps, example

__all__ = [
    "ClusterSpec",
    "Environment",
    "FederationMode",
    "FilePath",
    "Images",
    "Kce",
    "Overlays",
    "ProviderName",
    "RegionName",
    "ResourceRequests",
    "Resources",
    "ServiceSpec",
    "Site",
    "StackName",
    "Timeouts",
    "VerificationSpec",
    "dumps",
    "example",
    "load",
    "pair",
    "pair_name",
]
