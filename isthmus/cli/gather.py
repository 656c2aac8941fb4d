"""The verb that puts all that is known of a mesh into one file that can be sent: gather."""

import io
import os
import tarfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from isthmus import state
from isthmus.cli import confirm, environment_argument, options, terminal
from isthmus.cli.diagnose import take_snapshot
from isthmus.cli.inspect_commands import versions
from isthmus.errors import Usage

if TYPE_CHECKING:
    from isthmus.environment import Environment
    from isthmus.reporting.support_archive import Gathered

RUNS = 5
"""Runs whose time lines go into the archive, the latest."""


@click.command(short_help="Put all that is known of ENV into one file that can be sent.")
@options.environment
@options.as_json
@click.option("--to", "target", metavar="FILE", type=click.Path(path_type=Path),
              help="The archive to write.  [default: isthmus-ENV.tar.gz]")  # fmt: skip
def gather(env: str, output: str, target: Path | None) -> None:
    """Write an archive with a snapshot of ENV's clusters, findings, events, logs and runs.

    Nothing secret is in it; read it by its index.html. `isthmus diagnose` can check it again.
    """
    environment = environment_argument.find(env)
    environment_argument.require_built(environment, env)
    confirm.read_cloud_credentials(environment)
    path = target or Path(f"isthmus-{environment.name}.tar.gz")
    gathered = _gather(environment)
    from isthmus.reporting import support_archive

    files = support_archive.files(gathered)
    write(path, f"isthmus-{environment.name}", files)
    if output == "json":
        fields = {"environment": environment.name, "path": str(path), "files": sorted(files)}
        return terminal.document("Archive", fields)
    terminal.print_result(str(path))
    terminal.print_message(f"{len(files)} files; read index.html first")


def write(path: Path, folder: str, files: dict[str, str]) -> None:
    """Write an archive (gzip, 0600) whole or not at all; raises Usage if that cannot be."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.unlink(missing_ok=True)
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            for name, text in files.items():
                _add(archive, f"{folder}/{name}", text.encode())
        part.rename(path)
    except OSError as error:
        raise Usage(f"{path}: {error.strerror}", hint="choose another: --to FILE") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
    archive.addfile(entry, io.BytesIO(data))


def _gather(environment: "Environment") -> "Gathered":
    from isthmus.collectors import logs
    from isthmus.diagnosis import analysis
    from isthmus.environment import dumps
    from isthmus.reporting.support_archive import Gathered

    checks = analysis.select()
    snapshot = take_snapshot(environment)
    return Gathered(
        snapshot=snapshot,
        findings=analysis.analyze(snapshot, checks),
        checks=checks,
        environment=dumps(environment),
        versions=versions(),
        logs=logs.collect(environment, snapshot),
        runs=_runs(environment.name),
    )


def _runs(name: str) -> dict[str, tuple[str, str]]:
    from isthmus.cli import bar_chart, run_history

    found = {}
    for path in sorted((state.folder(name) / "runs").glob("*.json"))[-RUNS:]:
        record = run_history.read(path)
        if record:
            told = terminal.plain(bar_chart.chart(record, terminal.ASCII))
            found[path.name] = (path.read_text(), f"{told}\n{bar_chart.summary(record)}")
    return found
