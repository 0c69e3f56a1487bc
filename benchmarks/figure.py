"""What a benchmark reports, and how it takes the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value with its unit.  ``reached`` is None where there is no target."""

    what: str
    value: float
    unit: str
    target: str = ""
    reached: bool | None = None
    compared: str = ""

    @property
    def shown(self) -> str:
        return f"{self.value:.{0 if self.value >= 100 else 2}f} {self.unit}".rstrip()

    @property
    def verdict(self) -> str:
        return {True: "yes", False: "NO", None: ""}[self.reached]


def at_least(what: str, value: float, unit: str, target: float, compared: str = "") -> Figure:
    return Figure(
        what=what, value=value, unit=unit, target=f">= {target:g}", reached=value >= target, compared=compared
    )


def at_most(what: str, value: float, unit: str, target: float, compared: str = "") -> Figure:
    return Figure(
        what=what, value=value, unit=unit, target=f"<= {target:g}", reached=value <= target, compared=compared
    )


def rate(work: Callable[[], object], *, seconds: float = 0.5, rounds: int = 5) -> float:
    """How often ``work`` can be done in a second: the best of some rounds, since others disturb a round."""
    work()
    return max(_one_round(work, seconds) for _ in range(rounds))


def _one_round(work: Callable[[], object], seconds: float) -> float:
    count, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        work()
        count += 1
    return count / passed


def middle(times: list[float]) -> float:
    """The median, in milliseconds."""
    return median(times) * 1000
