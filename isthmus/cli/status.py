"""The verb that looks: status."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from isthmus import state
from isthmus.cli import confirm, environment_argument, options, terminal
from isthmus.errors import Findings

if TYPE_CHECKING:
    from isthmus.cli.mesh_health import MeshHealth
    from isthmus.cli.status_checks import StatusCheck
    from isthmus.environment import Environment


@click.command(short_help="Look at ENV; nothing is changed.")
@options.environment
@options.as_json
@options.color
@click.option("--steps", is_flag=True, help="Show what took how long in the last run instead.")
def status(env: str, output: str, steps: bool) -> None:
    """Show whether each cluster of ENV is reachable, federated, wired, its gateway ready.

    Nothing is changed.
    """
    environment = environment_argument.find(env)
    environment_argument.require_built(environment, env)
    if steps:
        return _show_steps(environment, env, output)
    confirm.read_cloud_credentials(environment)
    from isthmus.cli import cluster_view, mesh_health, status_checks

    sights = cluster_view.get_cluster_statuses(environment)
    found = status_checks.checks(environment, sights)
    health = mesh_health.look(environment)
    if output == "json":
        fields = status_checks.document(environment, sights, found)
        if health.errors or health.is_refuted:
            fields["verdict"] = "fail"
        terminal.document("Status", {**fields, **_runs(environment), **health.document()})
    else:
        terminal.show_lines(
            [*_lines(environment, found), *_health_lines(health), *_run_lines(environment)]
        )
    if failure := status_checks.error(found, sights, environment.name) or _unwell(health, env):
        raise failure


def _lines(environment: "Environment", found: "list[StatusCheck]") -> list[Text]:
    marks, lines = terminal.marks(sys.stdout), []
    for cluster in environment.clusters:
        lines.append(Text(f"{cluster.name} ({cluster.region}, {cluster.network})", "bold"))
        for check in (check for check in found if check.cluster == cluster.name):
            mark = (f"  {marks.done} ", "green") if check.ok else (f"  {marks.failed} ", "red")
            lines.append(Text.assemble(mark, f"{check.name:<10} {check.text}"))
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


def _show_steps(environment: "Environment", env: str, output: str) -> None:
    from isthmus.cli import bar_chart, run_history

    last = run_history.last(environment.name)
    if last is None:
        raise environment_argument.not_built(environment, env)
    if output == "json":
        return terminal.document("Run", last.document())
    terminal.show(bar_chart.chart(last, terminal.marks(sys.stdout)), Text(bar_chart.summary(last)))
