"""The environment file: its models, its rules, reading it and writing it. No cluster is touched.

patterns, parts and models say what a file may hold, rules what its parts must be to each other;
source reads YAML that remembers its lines, words puts what is wrong in a person's words.
"""

from isthmus.environment.loading import load
from isthmus.environment.models import ClusterSpec, Environment
from isthmus.environment.parts import Amount, Images, Overlays, Resources, VerificationSpec
from isthmus.environment.writing import dumps, example

__all__ = [
    "Amount",
    "ClusterSpec",
    "Environment",
    "Images",
    "Overlays",
    "Resources",
    "VerificationSpec",
    "dumps",
    "example",
    "load",
]
