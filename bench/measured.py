"""All that was measured, and its medians. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from bench.diagnosis import Analysis
from bench.ground import Cost
from bench.product import ProductRun
from bench.walk import Walk

T = TypeVar("T")


@dataclass(frozen=True)
class BenchResult:
    """All that was measured."""

    machine: str
    moment: str
    """When, in UTC."""
    quiet: bool
    """Whether nothing else ran when it began."""
    walks: tuple[Walk, ...]
    products: tuple[ProductRun, ...]
    analysis: Analysis
    remotes: int = 0
    """How many the wide ones have; 0 if none was measured."""
    wide: tuple[ProductRun, ...] = ()

    @property
    def width(self) -> float:
        """`up` with many remotes, in times of `up` with one; both medians."""
        return seconds([p.up for p in self.wide]) / seconds([p.up for p in self.products])

    @property
    def weight(self) -> float:
        """Its memory, in times of that with one."""
        return memory(self.wide) / memory(self.products)

    @property
    def spread(self) -> float:
        """`diagnose` with many remotes, in times of that with one; both medians."""
        return seconds([p.diagnosed for p in self.wide]) / self.diagnosed

    @property
    def diagnosed(self) -> float:
        """Seconds of `diagnose` with one remote, the median."""
        return seconds([p.diagnosed for p in self.products])

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
    def product(self) -> ProductRun:
        """The product's run whose `up` is the median, or the next above."""
        return _middle(self.products, [p.up for p in self.products])

    @property
    def converged(self) -> ProductRun:
        """The product's run whose `up` again is the median, or the next above."""
        return _middle(self.products, [p.again for p in self.products])


def seconds(costs: Sequence[Cost]) -> float:
    """Return the median of the seconds."""
    return median(cost.seconds for cost in costs)


def memory(products: Sequence[ProductRun]) -> float:
    """Return the median of the bytes that `up` had in memory."""
    return median(product.memory for product in products)


def cpu(costs: Sequence[Cost]) -> float:
    """Return the median of the CPU seconds."""
    return median(cost.cpu for cost in costs)


def _middle(things: Sequence[T], costs: Sequence[Cost]) -> T:
    order = sorted(range(len(costs)), key=lambda at: costs[at].seconds)
    return things[order[len(order) // 2]]
