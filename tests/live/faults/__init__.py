"""A mesh that is broken on purpose, in one way a module; `isthmus diagnose` must name each.

A module `fNN_what_is_wrong.py` tells in its docstring what is broken, as an operator would, and has

    EXPECT          id that the first finding must have
    CLUSTERS        clusters that it must name (of a way: who asks, who is asked); None: whichever
    break_mesh(mesh)
    WITHIN          seconds until it must be named, if they are not those of `diagnosing`
    mend(mesh)      puts all back, also what a break that failed half way has changed

What breaks something notes first, in a file beside the environment, what it is about to change:
so `mend` is `put_back`, and a run that was killed is mended by the next one.

objects: an API object changed, deleted, made or scaled; each kept before that
regions: packets dropped, programs of a region stopped, processes halted, servers put in the way
credentials: tokens and certificates as nobody should have them
placements: what KubeFed puts into one cluster, changed in the federated object, or it would revert
"""

import json
from collections.abc import Callable
from typing import Any, Protocol

from isthmus import state

ISTIO, SAMPLE = "istio-system", "sample"
HELLOWORLD = "helloworld.sample.svc.cluster.local"
Step = dict[str, Any]
Undo = Callable[[Any, Step], None]
_undo: dict[str, Undo] = {}


class Fault(Protocol):
    """What a module of this package is."""

    EXPECT: str
    CLUSTERS: tuple[str, ...] | None

    def break_mesh(self, mesh: Any) -> None: ...

    def mend(self, mesh: Any) -> None: ...


def undoes(kind: str) -> Callable[[Undo], Undo]:
    """Register what undoes steps of a kind; it must not mind if the step was never done."""

    def register(function: Undo) -> Undo:
        _undo[kind] = function
        return function

    return register


def note(mesh: Any, kind: str, **what: Any) -> None:
    """Write down what is about to be changed, before it is."""
    _write(mesh, [*_steps(mesh), {"kind": kind, **what}])


def put_back(mesh: Any) -> None:
    """Undo all that was noted, the last step first; what fails does not keep the rest broken."""
    from live.faults import credentials, objects, regions  # noqa: F401 they register their undoing

    steps, failed, errors = _steps(mesh), [], []
    for step in reversed(steps):
        try:
            _undo[step["kind"]](mesh, step)
        except Exception as error:
            failed.insert(0, step)
            errors.append(error)
    _write(mesh, failed)
    if any(credentials.is_of_remote_secret(step) for step in steps):
        credentials.ensure_heard(mesh)
    if errors:
        raise ExceptionGroup("not all was put back", errors)


def _steps(mesh: Any) -> list[Step]:
    path = mesh.folder / "faults.json"
    return json.loads(path.read_text()) if path.exists() else []


def _write(mesh: Any, steps: list[Step]) -> None:
    path = mesh.folder / "faults.json"
    if steps:
        state.write_private(path, json.dumps(steps))  # it may hold keys and tokens
    else:
        path.unlink(missing_ok=True)
