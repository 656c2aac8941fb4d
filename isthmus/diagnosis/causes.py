"""Which finding explains which: roots come first, and what follows from them is folded under them.

A rule says that a failure, where it stands, makes another one appear; nothing is folded that could
stand alone: another cluster, or another pair, keeps its own line.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from isthmus.diagnosis.finding import DiagnosedFailure

Where = Literal["same", "host", "mesh"]
"""same: in a cluster that both name. host: wherever the other one is, if the root is in the host,
which has the control plane of all. mesh: wherever the other one is."""


class Rule(NamedTuple):
    """A failure and what follows from it."""

    root: str
    consequences: frozenset[str]
    where: Where


def _rule(root: str, consequences: str, where: Where = "same") -> Rule:
    return Rule(root, frozenset(consequences.split()), where)


RULES = (
    # Nothing of a cluster can be asked, and everybody who asks it gets nothing.
    _rule("F44", "F01 F02 F03 F04 F06 F12 F14 F33 F46 F53 F55"),
    _rule("F52", "F33 F45 F46 F51 F55 F56 F43 F14 F12 F31"),
    _rule("F59", "F33 F45 F46 F02 F12 F53 F55"),
    _rule("F42", "F33 F45 F46 F55 F56 F10"),
    _rule("F41", "F33 F45 F46 F42 F55"),
    # No control plane: no injection, no new certificates, no endpoints.
    _rule("F45", "F02 F04 F09 F10 F11 F53 F23 F29 F56 F57 F15 F20", "mesh"),
    _rule("F01", "F02 F04 F45 F53"),
    # The way into a network is shut.
    _rule("F33", "F14 F15 F53 F32 F18"),
    _rule("F12", "F14 F11 F53 F18 F33"),
    _rule("F14", "F15 F53"),
    _rule("F11", "F10 F53 F33 F56"),
    # The control plane of a remote is behind the host's gateway.
    _rule("F33", "F10 F11 F53 F56", "host"),
    _rule("F12", "F10 F11 F53 F56", "host"),
    _rule("F47", "F10 F11 F14 F15 F53 F56", "mesh"),
    _rule("F44", "F10 F11 F53", "host"),
    _rule("F39", "F14 F53"),
    _rule("F40", "F14 F53"),
    # istiod does not read a cluster: what it knows of it is old, or nothing.
    _rule("F03", "F02 F04 F15 F24 F53 F29 F01 F36"),
    _rule("F05", "F02 F04 F07 F15 F53 F23 F18 F01"),
    _rule("F06", "F02 F04 F53 F01 F55"),
    _rule("F08", "F02 F04 F05 F53 F07"),
    _rule("F24", "F02 F04 F53 F23"),
    _rule("F07", "F02 F04 F53"),
    _rule("F04", "F02 F29 F53"),
    _rule("F30", "F02 F23 F53 F26 F14 F15 F11 F10 F09 F18 F33 F46 F57", "mesh"),
    # Trust.
    _rule("F21", "F15 F19 F20 F53 F10 F09"),
    _rule("F19", "F15 F20 F09 F10 F34 F53"),
    _rule("F34", "F19 F20"),
    _rule("F20", "F19"),
    _rule("F09", "F10 F28 F46 F33"),
    _rule("F10", "F33 F46 F42 F28"),
    _rule("F22", "F53"),
    _rule("F23", "F56 F33 F46"),
    _rule("F25", "F10 F56 F28 F57 F33"),
    _rule("F57", "F28 F53 F46"),
    _rule("F13", "F53"),
    _rule("F17", "F16 F53"),
    _rule("F16", "F53"),
    # Names.
    _rule("F51", "F26 F37 F11 F14 F53 F10"),
    _rule("F26", "F53 F46 F54"),
    _rule("F54", "F53 F46 F02"),
    _rule("F18", "F53 F32 F29 F02"),
    # Workloads and what places them.
    _rule("F55", "F46 F26 F54"),
    _rule("F31", "F46 F26 F33 F55"),
    _rule("F46", "F53 F54 F02"),
    _rule("F56", "F46 F33 F53"),
    _rule("F28", "F15 F48 F53 F02", "mesh"),
    _rule("F50", "F14 F39 F53 F10 F11 F51 F56"),
    _rule("F48", "F10 F11 F53 F56", "mesh"),
    _rule("F49", "F15 F53 F02", "mesh"),
    _rule("F43", "F53 F58"),
    _rule("F52", "F58"),
    _rule("F56", "F58"),
    _rule("F45", "F58"),
    _rule("F51", "F58"),
)

RANK = {root: rank for rank, root in enumerate(dict.fromkeys(rule.root for rule in RULES))}
"""Each failure's place before what follows from it, as far as that can be."""
SEVERITIES = ("error", "warning", "info")


def fold(found: Sequence[DiagnosedFailure], host: str = "") -> list[DiagnosedFailure]:
    """Return the findings, each consequence with its causes' keys: roots first, by severity.

    `host` is the cluster with the control plane.
    """
    ordered = sorted(found, key=lambda f: (SEVERITIES.index(f.severity), _rank(f)))
    explained = _with_roots([_explained(failure, ordered, host) for failure in ordered])
    return sorted(explained, key=lambda f: bool(f.explained_by))


def _with_roots(found: list[DiagnosedFailure]) -> list[DiagnosedFailure]:
    """Return the findings so that each leads to a root: of a circle the first one is its root."""
    while True:
        reached = {failure.key for failure in roots(found)}
        grows = True
        while grows:
            more = {f.key for f in found if reached & set(f.explained_by)} - reached
            reached |= more
            grows = bool(more)
        stuck = next((i for i, f in enumerate(found) if f.key not in reached), None)
        if stuck is None:
            return found
        found[stuck] = found[stuck].model_copy(update={"explained_by": ()})


def roots(found: Iterable[DiagnosedFailure]) -> list[DiagnosedFailure]:
    """Return the findings that no other one explains."""
    return [failure for failure in found if not failure.explained_by]


def consequences(
    root: DiagnosedFailure, found: Iterable[DiagnosedFailure]
) -> list[DiagnosedFailure]:
    """Return what a finding explains, by others, too."""
    return [failure for failure in found if root.key in failure.explained_by]


def _rank(failure: DiagnosedFailure) -> int:
    return RANK.get(failure.id, len(RANK))


def _explained(
    failure: DiagnosedFailure, found: Sequence[DiagnosedFailure], host: str
) -> DiagnosedFailure:
    """Name the causes of one finding: none that weighs less, and none that it explains itself."""
    causes = [
        other.key
        for other in found
        if other.severity != "info"
        and SEVERITIES.index(other.severity) <= SEVERITIES.index(failure.severity)
        and other.key != failure.key
        and _follows(other, failure, host)
        and not (_follows(failure, other, host) and _rank(failure) < _rank(other))
    ]
    return failure.model_copy(update={"explained_by": tuple(causes)})


def _follows(root: DiagnosedFailure, other: DiagnosedFailure, host: str) -> bool:
    """Tell whether a rule makes `other` a consequence of `root`, where the two stand."""
    return any(
        rule.root == root.id
        and other.id in rule.consequences
        and _meets(rule.where, root, other, host)
        for rule in RULES
    )


def _meets(where: Where, root: DiagnosedFailure, other: DiagnosedFailure, host: str) -> bool:
    if where == "mesh" or (where == "host" and host in root.clusters):
        return True
    if where == "host":
        return False
    if len(root.clusters) > 1 and len(other.clusters) > 1:
        return root.clusters == other.clusters
    return bool(set(root.clusters) & set(other.clusters))
