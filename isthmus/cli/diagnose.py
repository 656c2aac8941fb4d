"""The verb that names the cause: diagnose."""

import tarfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydantic import ValidationError
from rich.text import Text

from isthmus import polling, state
from isthmus.cli import confirm, environment_argument, interruptible, options, terminal
from isthmus.errors import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from isthmus.diagnosis.finding import Analyzer, DiagnosedFailure
    from isthmus.diagnosis.snapshot import Snapshot
    from isthmus.environment import Environment

STYLES = {"error": "red", "warning": "yellow", "info": "dim"}


def _ids(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str]:
    return [name.strip() for name in (value or "").split(",") if name.strip()]


@click.command(short_help="Name what is broken in ENV, and why; nothing is changed.")
@click.argument("env", metavar="[ENV]", required=False)
@options.as_json
@options.color
@click.option("--junit", "junit_file", metavar="FILE", type=click.Path(path_type=Path),
              help="Write a JUnit report, too.")  # fmt: skip
@click.option("--only", metavar="ID,ID", callback=_ids, help="Run these checks alone (F14,F33).")
@click.option("--skip", metavar="ID,ID", callback=_ids, help="Leave these checks out.")
@click.option("--list-checks", is_flag=True, help="Print all checks and ask no cluster.")
@click.option("--snapshot", "snapshot_file", metavar="FILE", type=click.Path(path_type=Path),
              help="Check what an earlier diagnose or gather wrote, in place of ENV.")  # fmt: skip
def diagnose(
    env: str | None,
    output: str,
    junit_file: Path | None,
    only: list[str],
    skip: list[str],
    list_checks: bool,
    snapshot_file: Path | None,
) -> None:
    """Take a snapshot of all clusters of ENV and name each failure: evidence, cause, what to type.

    Nothing is changed in the clusters. Exit code 79 if a finding is an error; warnings alone are 0.
    """
    from isthmus.diagnosis import analysis

    checks = analysis.select(only, skip)
    if list_checks:
        return _list(checks, output)
    snapshot = _snapshot(env, snapshot_file)
    found = analysis.diagnose(snapshot, checks)
    _report(snapshot, found.findings, checks, output, junit_file)
    found.raise_for_findings()


def _snapshot(env: str | None, file: Path | None) -> "Snapshot":
    if (env is None) == (file is None):
        raise Usage(
            "say what to diagnose",
            hint="isthmus diagnose ENV, or isthmus diagnose --snapshot FILE",
        )
    return read_snapshot(file) if file else _take(str(env))


def _take(env: str) -> "Snapshot":
    environment = environment_argument.find(env)
    environment_argument.require_built(environment, env)
    confirm.read_cloud_credentials(environment)
    snapshot = take_snapshot(environment)
    from isthmus.diagnosis.snapshot import FILE_NAME

    path = state.folder(environment.name) / FILE_NAME
    state.write_private(path, snapshot.model_dump_json())
    return snapshot


def take_snapshot(environment: "Environment", *, proxies: bool = True) -> "Snapshot":
    """Return a snapshot; a person who interrupts it is not kept waiting for slow clusters."""
    from isthmus.collectors import mesh

    chosen = {} if proxies else {"proxies": False}
    with polling.stoppable():
        try:
            found: Snapshot = interruptible.run(
                lambda: mesh.take_snapshot(environment, **chosen), None
            )
        except interruptible.Abandoned:
            polling.stop()
            raise
    return found


def read_snapshot(file: Path) -> "Snapshot":
    """Return a snapshot that was written before; raises Usage if the file is none."""
    from isthmus.diagnosis.snapshot import FORMAT, Snapshot

    try:
        found = Snapshot.model_validate_json(_content(file))
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise Usage(f"{file}: {getattr(error, 'strerror', None) or error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Usage(f"{file}: no snapshot of isthmus diagnose: {where}: {first['msg']}") from None
    if not found.clusters:
        raise Usage(f"{file}: a snapshot without clusters")
    if found.format > FORMAT:
        raise Usage(f"{file}: of a newer Isthmus ({found.isthmus})", hint="update Isthmus")
    return found


def _content(file: Path) -> bytes:
    """Return the snapshot in a file of its own, or in an archive of `isthmus gather`."""
    from isthmus.diagnosis.snapshot import FILE_NAME

    if not tarfile.is_tarfile(file):
        return file.read_bytes()
    with tarfile.open(file) as archive:
        for entry in archive:
            if entry.name.rpartition("/")[2] == FILE_NAME and (found := archive.extractfile(entry)):
                return found.read()
    raise Usage(f"{file}: has no {FILE_NAME}", hint="is it an archive of isthmus gather?")


def _list(checks: "Sequence[Analyzer]", output: str) -> None:
    from isthmus.diagnosis import report

    if output == "json":
        listed = [
            {"id": c.id, "title": c.title, "severity": c.severity, "link": report.link(c.id)}
            for c in checks
        ]
        return terminal.document("Checks", {"checks": listed})
    terminal.print_result("\n".join(f"{c.id}  {c.title}" for c in checks))


def _report(
    snapshot: "Snapshot",
    found: "Sequence[DiagnosedFailure]",
    checks: "Sequence[Analyzer]",
    output: str,
    junit_file: Path | None,
) -> None:
    from isthmus.diagnosis import report

    if junit_file:
        try:
            junit_file.write_text(report.junit(snapshot, found, checks), encoding="utf-8")
        except OSError as error:
            raise Usage(
                f"{junit_file}: {error.strerror}", hint="choose another: --junit FILE"
            ) from None
    if output == "json":
        return terminal.document("Diagnosis", report.document(snapshot, found, checks))
    told = [Text(line, STYLES.get(line.split(" ")[0], "")) for line in report.lines(found)]
    terminal.show_lines([*told, Text(report.summary(found, len(checks), snapshot))])
