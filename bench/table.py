"""The numbers, judged and written down: for a person, as Markdown, as JSON. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, TypeVar

from bench.ground import Cost
from bench.product import Product
from bench.walk import Lap, Walk
from isthmus.cli import bars
from isthmus.cli.record import Run
from isthmus.timeline import critical_path

T = TypeVar("T")
RATIO = 0.7
"""Most of the walk's time that `up` may take."""
AIM = 0.55
"""What it should take."""
AGAIN = 10.0
"""Seconds that `up` may take on a converged environment."""
LONGEST = 3
"""Steps that are named when a limit is passed."""


@dataclass(frozen=True)
class Bench:
    """All that was measured."""

    machine: str
    moment: str
    """When, in UTC."""
    quiet: bool
    """Whether nothing else ran when it began."""
    walks: tuple[Walk, ...]
    products: tuple[Product, ...]

    @property
    def ratio(self) -> float:
        """`up` from nothing, as a part of the walk; both medians."""
        return seconds([p.up for p in self.products]) / seconds([w.cost for w in self.walks])

    @property
    def again(self) -> float:
        """Seconds of `up` on a converged environment, the median."""
        return seconds([p.again for p in self.products])

    @property
    def walk(self) -> Walk:
        """The walk whose time is the median, or the next above."""
        return _middle(self.walks, [w.cost for w in self.walks])

    @property
    def product(self) -> Product:
        """The product's run whose `up` is the median, or the next above."""
        return _middle(self.products, [p.up for p in self.products])

    @property
    def converged(self) -> Product:
        """The product's run whose `up` again is the median, or the next above."""
        return _middle(self.products, [p.again for p in self.products])


def seconds(costs: Sequence[Cost]) -> float:
    """Return the median of the seconds."""
    return median(cost.seconds for cost in costs)


def cpu(costs: Sequence[Cost]) -> float:
    """Return the median of the CPU seconds."""
    return median(cost.cpu for cost in costs)


def reasons(bench: Bench) -> list[str]:
    """Return which limits do not hold, each with where the time went; empty if all hold."""
    found = []
    if bench.ratio > RATIO:
        laps = ", ".join(_lap(lap) for lap in _longest(bench.walk.laps))
        where = f"{_where(bench.product.up, bench.product.up_run)}; the walk's longest: {laps}"
        found.append(f"up took {bench.ratio:.2f} of the walk, more than {RATIO}: {where}")
    if bench.again > AGAIN:
        where = _where(bench.converged.again, bench.converged.again_run)
        found.append(f"up again took {bench.again:.1f} s, more than {AGAIN:.0f}: {where}")
    return found


def rows(bench: Bench) -> Iterator[tuple[str, ...]]:
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


def caption(bench: Bench) -> str:
    """Return where and when it was measured, and whether that was fair."""
    note = "" if bench.quiet else "; something else ran, so the figures mean less"
    return f"{bench.machine}, {bench.moment}, median of {len(bench.walks)}{note}"


def markdown(bench: Bench, chart: str) -> str:
    """Return the page; `chart` is the tree of steps of the median `up`, as text."""
    failed = "".join(f"- {reason}\n" for reason in reasons(bench))
    return (
        "# Bench\n\nWritten by `python -m bench --markdown`. The walk is `bench/walk.sh`; "
        "CPU seconds are the whole machine's.\n\n"
        f"{caption(bench)}\n\n{grid(rows(bench))}\n\n"
        f"Every limit holds: {'no' if failed else 'yes'}\n{failed}\n"
        f"```\n{chart}\n```\n\n{bars.summary(bench.product.up_run)}\n\n{laps(bench.walk)}\n"
    )


def document(bench: Bench) -> dict[str, Any]:
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
        "ratio": bench.ratio,
        "verdict": "fail" if failed else "pass",
        "reasons": failed,
    }


def _row(what: str, limit: str, costs: Sequence[Cost]) -> tuple[str, ...]:
    every = ", ".join(f"{cost.seconds:.1f}" for cost in costs)
    return what, f"{seconds(costs):.1f} s", limit, f"{cpu(costs):.1f}", every


def _middle(things: Sequence[T], costs: Sequence[Cost]) -> T:
    order = sorted(range(len(costs)), key=lambda at: costs[at].seconds)
    return things[order[len(order) // 2]]


def _longest(taken: Sequence[Lap]) -> list[Lap]:
    return sorted(taken, key=lambda lap: lap.seconds, reverse=True)[:LONGEST]


def _lap(lap: Lap) -> str:
    return f"{lap.name} {lap.seconds:.1f} s"


def _where(cost: Cost, run: Run) -> str:
    path = [Lap(step.label, step.seconds(run.end)) for step in critical_path(run.steps)]
    outside = cost.seconds - sum(lap.seconds for lap in path)
    steps = ", ".join(_lap(lap) for lap in _longest(path))
    return f"longest on its critical path: {steps}; outside of it {outside:.1f} s"
