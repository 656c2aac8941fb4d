"""The numbers, judged and written down: for a person, as Markdown, as JSON. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from bench.diagnosis import CLUSTERS
from bench.ground import Cost
from bench.measured import BenchResult, cpu, memory, seconds
from bench.product import ProductRun
from bench.walk import Lap, Walk
from isthmus.cli import bar_chart
from isthmus.cli.run_history import RunRecord
from isthmus.timeline import critical_path

RATIO = 0.7
"""Most of the walk's time that `up` may take."""
AIM = 0.55
"""What it should take."""
AGAIN = 10.0
"""Seconds that `up` may take on a converged environment."""
WIDE = 5.0
"""Times that `up` with nine remotes may take as long as with one: so many more regions it has."""
MEMORY = 2.0
"""Times that it may take as much memory: what it keeps of a cluster is little."""
DIAGNOSED = 10.0
"""Seconds that `diagnose` may take for two clusters."""
ANALYSED = 30.0
"""Seconds that checking a snapshot of many clusters may take."""
ANALYSED_MEMORY = 2_000_000_000
"""Bytes that it may have in memory."""
MB = 1_000_000
LONGEST = 3
"""Steps that are named when a limit is passed."""


def reasons(bench: BenchResult) -> list[str]:
    """Return which limits do not hold, each with where the time went; empty if all hold."""
    found = []
    if bench.ratio > RATIO:
        laps = ", ".join(_lap(lap) for lap in _longest(bench.walk.laps))
        where = f"{_where(bench.product.up, bench.product.up_run)}; the walk's longest: {laps}"
        found.append(f"up took {bench.ratio:.2f} of the walk, more than {RATIO}: {where}")
    if bench.again > AGAIN:
        where = _where(bench.converged.again, bench.converged.again_run)
        found.append(f"up again took {bench.again:.1f} s, more than {AGAIN:.0f}: {where}")
    if bench.diagnosed > DIAGNOSED:
        found.append(f"diagnose took {bench.diagnosed:.1f} s, more than {DIAGNOSED:.0f}")
    if bench.analysis.cost.seconds > ANALYSED or bench.analysis.memory > ANALYSED_MEMORY:
        found.append(f"checking {CLUSTERS} clusters took {bench.analysis.cost.seconds:.1f} s and "
                     f"{bench.analysis.memory / MB:.0f} MB, more than {ANALYSED:.0f} s or "
                     f"{ANALYSED_MEMORY / MB:.0f} MB")  # fmt: skip
    if bench.wide and bench.spread > _more(bench):
        found.append(f"diagnose with {bench.remotes} remotes took {bench.spread:.1f} times as long "
                     f"as with one, and there are {_more(bench):.1f} times as many")  # fmt: skip
    if bench.wide and bench.width > WIDE:
        slowest = max(bench.wide, key=lambda product: product.up.seconds)
        where = _where(slowest.up, slowest.up_run)
        found.append(f"up with {bench.remotes} remotes took {bench.width:.1f} times as long as "
                     f"with one, more than {WIDE:.0f}: {where}")  # fmt: skip
    if bench.wide and bench.weight > MEMORY:
        found.append(f"up with {bench.remotes} remotes took {bench.weight:.1f} times the memory "
                     f"of one, more than {MEMORY:.0f}")  # fmt: skip
    return found


def rows(bench: BenchResult) -> Iterator[tuple[str, ...]]:
    """Give the table's rows, its headings first."""
    walks = [w.cost for w in bench.walks]
    ups = [p.up for p in bench.products]
    most = seconds(walks) * RATIO
    yield "what", "median", "limit", "CPU seconds", "all runs"
    yield _row("the walk: the same steps by script", "", walks)
    yield _row("isthmus up, from nothing", f"{most:.1f} s", ups)
    share = f"{cpu(ups) / cpu(walks):.2f}" if cpu(walks) else ""
    yield "as a part of the walk", f"{bench.ratio:.2f}", f"{RATIO} (aim {AIM})", share, ""
    yield _row("isthmus up, again", f"{AGAIN:.1f} s", [p.again for p in bench.products])
    yield _row("isthmus down", "", [p.down for p in bench.products])
    yield _memory_row("memory of isthmus up", "", bench.products)
    yield _row("isthmus diagnose", f"{DIAGNOSED:.1f} s", [p.diagnosed for p in bench.products])
    name, analysis = f"isthmus diagnose --snapshot, {CLUSTERS} clusters", bench.analysis
    yield _row(name, f"{ANALYSED:.1f} s", [analysis.cost])
    limit = f"{ANALYSED_MEMORY / MB:.0f} MB"
    yield f"memory of {name}", f"{analysis.memory / MB:.0f} MB", limit, "", ""
    if bench.wide:
        yield from _wide_rows(bench)


def _wide_rows(bench: BenchResult) -> Iterator[tuple[str, ...]]:
    ups, name = [p.up for p in bench.wide], f"isthmus up, {bench.remotes} remotes"
    longest = seconds([p.up for p in bench.products]) * WIDE
    yield _row(f"{name}, from nothing", f"{longest:.1f} s", ups)
    yield "in times of one remote", f"{bench.width:.1f}", f"{WIDE:.0f}", "", ""
    yield _row(f"{name}, again", "", [p.again for p in bench.wide])
    most = f"{memory(bench.products) * MEMORY / MB:.0f} MB"
    yield _memory_row(f"memory of {name}", most, bench.wide)
    yield "in times of one remote", f"{bench.weight:.1f}", f"{MEMORY:.0f}", "", ""
    diagnosed = [p.diagnosed for p in bench.wide]
    yield _row(f"isthmus diagnose, {bench.remotes} remotes", "", diagnosed)
    yield "in times of one remote", f"{bench.spread:.1f}", f"{_more(bench):.1f}", "", ""


def _more(bench: BenchResult) -> float:
    """Return how many times as many clusters the wide ones have."""
    return (bench.remotes + 1) / 2


def _memory_row(what: str, limit: str, products: Sequence[ProductRun]) -> tuple[str, ...]:
    every = ", ".join(f"{product.memory / MB:.0f}" for product in products)
    return what, f"{memory(products) / MB:.0f} MB", limit, "", every


def grid(lines: Iterator[tuple[str, ...]]) -> str:
    """Return rows as a Markdown table whose columns also line up as plain text."""
    cells = list(lines)
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    cells.insert(1, tuple("-" * width for width in widths))
    padded = [[c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def laps(walk: Walk) -> str:
    """Return the walk's laps in one line."""
    return "the walk: " + ", ".join(_lap(lap) for lap in walk.laps)


def caption(bench: BenchResult) -> str:
    """Return where and when it was measured, and whether that was fair."""
    note = "" if bench.quiet else "; something else ran, so the figures mean less"
    return f"{bench.machine}, {bench.moment}, median of {len(bench.walks)}{note}"


def markdown(bench: BenchResult, chart: str) -> str:
    """Return the page; `chart` is the tree of steps of the median `up`, as text."""
    failed = "".join(f"- {reason}\n" for reason in reasons(bench))
    return (
        "# Bench\n\nWritten by `python -m bench --markdown`. The walk is `bench/walk.sh`; "
        "CPU seconds are the whole machine's.\n\n"
        f"{caption(bench)}\n\n{grid(rows(bench))}\n\n"
        f"Every limit holds: {'no' if failed else 'yes'}\n{failed}\n"
        f"```\n{chart}\n```\n\n{bar_chart.summary(bench.product.up_run)}\n\n{laps(bench.walk)}\n"
    )


def document(bench: BenchResult) -> dict[str, Any]:
    """Return the numbers as JSON has them."""
    failed = reasons(bench)
    return {
        "machine": bench.machine,
        "moment": bench.moment,
        "quiet": bench.quiet,
        "walk": [asdict(walk) for walk in bench.walks],
        "up": [{**asdict(p.up), "run": p.up_run.document()} for p in bench.products],
        "again": [{**asdict(p.again), "run": p.again_run.document()} for p in bench.products],
        "down": [asdict(p.down) for p in bench.products],
        "memory": [p.memory for p in bench.products],
        "diagnose": [asdict(p.diagnosed) for p in bench.products],
        "analysis": {"clusters": CLUSTERS, **asdict(bench.analysis)},
        "wide": [
            {
                "remotes": bench.remotes,
                "up": asdict(p.up),
                "again": asdict(p.again),
                "down": asdict(p.down),
                "memory": p.memory,
                "diagnose": asdict(p.diagnosed),
            }
            for p in bench.wide
        ],
        "ratio": bench.ratio,
        "verdict": "fail" if failed else "pass",
        "reasons": failed,
    }


def _row(what: str, limit: str, costs: Sequence[Cost]) -> tuple[str, ...]:
    every = ", ".join(f"{cost.seconds:.1f}" for cost in costs)
    return what, f"{seconds(costs):.1f} s", limit, f"{cpu(costs):.1f}", every


def _longest(taken: Sequence[Lap]) -> list[Lap]:
    return sorted(taken, key=lambda lap: lap.seconds, reverse=True)[:LONGEST]


def _lap(lap: Lap) -> str:
    return f"{lap.name} {lap.seconds:.1f} s"


def _where(cost: Cost, run: RunRecord) -> str:
    path = [Lap(step.label, step.seconds(run.end)) for step in critical_path(run.steps)]
    outside = cost.seconds - sum(lap.seconds for lap in path)
    steps = ", ".join(_lap(lap) for lap in _longest(path))
    return f"longest on its critical path: {steps}; outside of it {outside:.1f} s"
