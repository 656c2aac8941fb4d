"""`python -m bench`: walk, up, up again, diagnose, down, repeated; then table and verdict."""

import json
import signal
import sys
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import click
from rich.console import Console

from bench import diagnosis, ground, product, table, walk
from bench.measured import BenchResult
from bench.product import ProductRun
from isthmus import environment, providers
from isthmus.cli import bar_chart, terminal
from isthmus.cli.main import attempt
from isthmus.cli.run_history import RunRecord
from isthmus.errors import Findings
from isthmus.providers.lab.images import ensure_golden
from isthmus.providers.lab.tools import ensure_toolchain


@click.command()
@click.option("--runs", type=click.IntRange(1, 20), default=3, show_default=True)
@click.option(
    "--remotes",
    type=click.IntRange(2, len(product.REMOTES)),
    help="Measure `up` with so many remotes, too: seconds and memory in times of one's.",
)
@click.option("--json", "json_file", type=Path, help="Write the numbers to this file.")
@click.option("--markdown", "markdown_file", type=Path, help="Write the table to this file.")
def bench(
    runs: int, remotes: int | None, json_file: Path | None, markdown_file: Path | None
) -> None:
    """Measure `isthmus up` beside the same steps in sequence by script, on this machine.

    Exit code 79 if a limit does not hold.
    """
    found = _measure(runs, remotes or 0)
    if json_file:
        whole = {"apiVersion": terminal.API_VERSION, "kind": "Bench", **table.document(found)}
        json_file.write_text(json.dumps(whole, indent=2, sort_keys=True) + "\n")
    chart = _chart(found.product.up_run)
    if markdown_file:
        markdown_file.parent.mkdir(parents=True, exist_ok=True)
        markdown_file.write_text(table.markdown(found, chart))
    terminal.print_result(f"{table.caption(found)}\n\n{table.grid(table.rows(found))}\n\n{chart}")
    terminal.print_result(f"{bar_chart.summary(found.product.up_run)}\n{table.laps(found.walk)}")
    if failed := table.reasons(found):
        raise Findings("\n  ".join(failed))


def _measure(runs: int, remotes: int) -> BenchResult:
    _prepare(remotes or 1)
    walks, products, wide = [], [], []
    with product.server():
        quiet = ground.await_quiet(terminal.print_message)
        for number in range(1, runs + 1):
            walks.append(walk.run())
            terminal.print_message(f"{number}/{runs} walk: {walks[-1].cost.seconds:.1f} s")
            products.append(product.run())
            done = products[-1]
            terminal.print_message(f"{number}/{runs} {_told(done)}")
            if remotes:
                wide.append(product.run(remotes))
                terminal.print_message(f"{number}/{runs} {remotes} remotes: {_told(wide[-1])}")
    analysis = diagnosis.run()
    moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return BenchResult(
        ground.machine(),
        moment,
        quiet,
        tuple(walks),
        tuple(products),
        analysis,
        remotes,
        tuple(wide),
    )


def _told(done: ProductRun) -> str:
    return (
        f"up: {done.up.seconds:.1f} s and {done.memory / table.MB:.0f} MB, "
        f"again: {done.again.seconds:.1f} s, diagnose: {done.diagnosed.seconds:.1f} s, "
        f"down: {done.down.seconds:.1f} s"
    )


def _prepare(remotes: int) -> None:
    """Refuse before anything is begun; make what all runs find present."""
    with ground.folder() as folder:
        file = folder / "bench.yaml"
        file.write_text(product.environment(remotes))
        wanted = environment.load(file)
    providers.get_provider(wanted).check(wanted)
    ensure_golden(ensure_toolchain())


def _chart(run: RunRecord) -> str:
    text = StringIO()
    Console(file=text, width=terminal.PLAIN_WIDTH).print(bar_chart.chart(run, terminal.ASCII))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(attempt(lambda: bench.main(prog_name="python -m bench", standalone_mode=False))[0])
