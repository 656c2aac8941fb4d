"""One look at an environment: what is there, since when, what changed; and its lines."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from isthmus import state
from isthmus.cli import terminal
from isthmus.cli.status_history import Change, History, Observation, ago
from isthmus.errors import Findings, IsthmusError

if TYPE_CHECKING:
    from isthmus.cli.mesh_health import MeshHealth
    from isthmus.cli.status_checks import ClusterStatus, StatusCheck
    from isthmus.environment import Environment


@dataclass(frozen=True)
class Look:
    """All that was seen of an environment at one moment."""

    environment: "Environment"
    sights: "list[ClusterStatus]"
    found: "list[StatusCheck]"
    health: "MeshHealth"
    failure: IsthmusError | None
    """What `status` ends with."""
    history: History
    changes: list[Change]
    """What is other than at the look before."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        from isthmus.cli import status_checks

        fields = status_checks.document(self.environment, self.sights, self.found)
        if self.health.errors or self.health.is_refuted:
            fields["verdict"] = "fail"
        return {
            **fields,
            **_runs(self.environment),
            **self.health.document(),
            "since": {what: _moment(at) for what, at in self.history.since.items()},
            "lastChange": (last := self.history.last) and {**vars(last), "at": _moment(last.at)},
        }

    def lines(self, *, since: bool = False) -> list[Text]:
        """Return it as lines for a person, each with since when it is so if that is asked for."""
        known = self.history.since if since else {}
        return [
            *_lines(self.environment, self.found, known, self.health.now),
            *_health_lines(self.health),
            *_run_lines(self.environment),
        ]


def look(environment: "Environment", env: str, *, remember: bool = False) -> Look:
    """Return what the clusters show, what traffic last told, and what changed since the last look.

    `env` is the environment as the person called it. Only one who watches has it remembered.
    """
    from isthmus.cli import cluster_view, mesh_health, status_checks, status_history

    sights = cluster_view.get_cluster_statuses(environment)
    found = status_checks.checks(environment, sights)
    health = mesh_health.look(environment)
    failure = status_checks.error(found, sights, environment.name) or _unwell(health, env)
    seen = [*(Observation(_named(check), check.text) for check in found), *health.observations()]
    history, changes = status_history.load(environment.name), list[Change]()
    if remember:
        away = [f"{sight.cluster.name} " for sight in sights if sight.unreachable]
        history, changes = history.updated(seen, health.now, away)
        status_history.save(environment.name, history)
    return Look(environment, sights, found, health, failure, history, changes)


def _named(check: "StatusCheck") -> str:
    return f"{check.cluster} {check.name}"


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%FT%TZ}"


def _lines(
    environment: "Environment", found: "list[StatusCheck]", since: Mapping[str, float], now: float
) -> list[Text]:
    marks, lines = terminal.marks(sys.stdout), []
    for cluster in environment.clusters:
        lines.append(Text(f"{cluster.name} ({cluster.region}, {cluster.network})", "bold"))
        for check in (check for check in found if check.cluster == cluster.name):
            mark = (f"  {marks.done} ", "green") if check.ok else (f"  {marks.failed} ", "red")
            at = since.get(_named(check))
            told = (f"  for {ago(now - at)}", "dim") if at else ""
            lines.append(Text.assemble(mark, f"{check.name:<10} {check.text}", told))
    return lines


def _health_lines(health: "MeshHealth") -> list[Text]:
    marks = terminal.marks(sys.stdout)
    good, bad = (f"  {marks.done} ", "green"), (f"  {marks.failed} ", "red")
    unknown = (f"  {marks.more} ", "yellow")
    mark = good if health.is_proven else bad if health.is_refuted else unknown
    lines = [Text("mesh", "bold"), Text.assemble(mark, f"{'traffic':<10} {health.traffic()}")]
    for expiry in [e for e in health.expiries if e.is_near(health.now) and "served" not in e.what]:
        lines.append(
            Text.assemble(unknown, f"{'expiry':<10} {expiry.cluster}: {expiry.text(health.now)}")
        )
    for failure in health.errors:
        where = " -> ".join(failure.clusters)
        lines.append(Text.assemble(bad, f"{failure.id:<10} {where}: {failure.title}"))
    return lines


def _unwell(health: "MeshHealth", env: str) -> Findings | None:
    """Return what `status` ends with if only the mesh as a whole is not well."""
    if health.errors:
        first = health.errors[0]
        text = f"{env}: {first.id} {' -> '.join(first.clusters)}: {first.title}"
        return Findings(text, hint=f"see why: isthmus diagnose {env}")
    if health.is_refuted:
        text = f"{env}: traffic {health.traffic()}"
        return Findings(text, hint=f"see why: isthmus diagnose {env}; then: isthmus verify {env}")
    return None


def _run_lines(environment: "Environment") -> list[Text]:
    runs = _runs(environment)
    lines = [Text("a run is in progress (it holds the lock)", "yellow")] if runs["busy"] else []
    for name in runs["leaving"]:
        lines.append(Text(f"{name} is to be removed: isthmus up {environment.name}", "yellow"))
    if last := runs["lastRun"]:
        lines.append(
            Text(f"last run: {last['verb']}, {last['seconds']} s, {last['outcome']}", "dim")
        )
    return lines


def _runs(environment: "Environment") -> dict[str, Any]:
    from isthmus import environment_store
    from isthmus.cli import run_history

    last = run_history.last(environment.name)
    shown = last and {
        "verb": last.verb,
        "seconds": round(last.end - last.start, 1),
        "outcome": last.outcome,
    }
    leaving = [cluster.name for cluster in environment_store.removed_clusters(environment)]
    return {"busy": _is_held(environment.name), "lastRun": shown, "leaving": leaving}


def _is_held(name: str) -> bool:
    """Tell whether a run holds the environment, without taking its lock for a moment."""
    try:
        inode = (state.home() / "locks" / f"{name}.lock").stat().st_ino
        held = Path("/proc/locks").read_text()
    except OSError:
        return False
    return any(f":{inode} " in line for line in held.splitlines())
