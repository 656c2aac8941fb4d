"""The checks, a module for each part of a mesh; each takes a snapshot and asks nobody.

A module has ANALYZERS, in the order in which one would look; here they are in the order of ids.
"""

from importlib import import_module
from pkgutil import iter_modules

from isthmus.diagnosis.finding import Analyzer

ANALYZERS: tuple[Analyzer, ...] = tuple(
    sorted(
        (
            check
            for module in iter_modules(__path__)
            for check in import_module(f"{__name__}.{module.name}").ANALYZERS
        ),
        key=lambda check: int(check.id.removeprefix("F")),
    )
)
