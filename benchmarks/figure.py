"""What a benchmark reports, and how it takes the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value with its unit.

    ``ratio`` is how many times slower that is than ``against``, and None without one.  ``value`` is None where
    nothing could be measured, for the reason in ``problem``.  ``reached`` is None where there is no target.
    """

    what: str
    value: float | None
    unit: str = ""
    ratio: float | None = None
    against: str = ""
    target: str = ""
    reached: bool | None = None
    problem: str = ""

    def cells(self) -> tuple[str, str, str, str, str, str]:
        """What a table shows, under TITLES."""
        figure = "failed" if self.value is None else f"{self.value:.{0 if self.value >= 100 else 1}f} {self.unit}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        verdict = {True: "yes", False: "NO", None: ""}[self.reached]
        return self.what, ratio, figure, self.target, verdict, self.problem or self.against


TITLES = ("WHAT", ">TIMES SLOWER", ">FIGURE", ">TARGET", "REACHED", "COMPARED WITH")


def failed(what: str, problem: str) -> Figure:
    return Figure(what=what, value=None, reached=False, problem=problem)


def rates(*works: Callable[[], object], seconds: float = 0.3, rounds: int = 8) -> list[float]:
    """How often each can be done in a second: the best of some rounds, since others disturb a round.

    They take turns, so that a disturbance hits every one alike.
    """
    best = [0.0] * len(works)
    for _ in range(rounds):
        best = [max(known, _one_round(work, seconds)) for known, work in zip(best, works, strict=True)]
    return best


def _one_round(work: Callable[[], object], seconds: float) -> float:
    count, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        work()
        count += 1
    return count / passed


def middle(times: list[float]) -> float:
    """The median of times in seconds, in milliseconds: half the rounds were faster."""
    return median(times) * 1000
