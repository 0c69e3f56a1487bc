"""Where the time goes that a completed QEMU document takes: ``./x bench profile``.

Each step is timed alone, and then once more under cProfile, which slows small functions down most: believe the
times of the steps, and of the functions only which ones are big.
"""

from __future__ import annotations

import cProfile
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType
from typing import Any

from benchmarks import machines
from vmherd.cli.table import show_table
from vmherd.conf.domain import parse_domain, render

TITLES = ("STEP", ">MICROSECONDS", ">SHARE", ">CALLS", "FUNCTION, SHARE OF ITS STEP")
ROUNDS = 300
#: Functions shown of each step.
_FEW = 8

Step = Callable[[Any], object]


def show() -> None:
    """Print a table of the steps, under each its functions, by the time they take themselves."""
    steps = _steps()
    texts: list[Any] = [machines.DOCUMENT.read_text()] * ROUNDS
    times = _times(steps, texts)
    whole = sum(times)
    rows: list[Sequence[str]] = []
    for (name, step), seconds, inputs in zip(steps, times, _inputs(steps, texts), strict=True):
        rows.append((name, f"{seconds / ROUNDS * 1e6:.0f}", f"{seconds / whole:.0%}", "", ""))
        rows += _functions(step, inputs)
    rows.append(("all", f"{whole / ROUNDS * 1e6:.0f}", "100%", "", f"{ROUNDS / whole:.0f} documents a second"))
    show_table(TITLES, rows)


def _steps() -> list[tuple[str, Step]]:
    """What is done to a document, in this order; each step gets what the one before gave back."""
    caps = machines.capabilities()

    def fill(domain: Any) -> Any:
        machines.fill(domain, caps)
        return domain

    def check(domain: Any) -> Any:
        machines.check(domain, caps)
        return domain

    return [("parse", parse_domain), ("complete", fill), ("check", check), ("format", render)]


def _inputs(steps: list[tuple[str, Step]], values: list[Any]) -> Iterator[list[Any]]:
    """What each step works on.  A step changes its documents, so the next one takes what comes back."""
    for _, step in steps:
        yield values
        values = [step(value) for value in values]


def _times(steps: list[tuple[str, Step]], texts: list[Any]) -> list[float]:
    """Seconds of each step for all documents: the best of some rounds."""
    best = [float("inf")] * len(steps)
    for _ in range(5):
        values = texts
        for number, (_, step) in enumerate(steps):
            gc.collect()
            began = time.perf_counter()
            values = [step(value) for value in values]
            best[number] = min(best[number], time.perf_counter() - began)
    return best


def _functions(step: Step, inputs: list[Any]) -> Iterator[Sequence[str]]:
    """The functions of a step that take the most time themselves, as shares of the step."""
    profile = cProfile.Profile()
    profile.runcall(lambda: [step(value) for value in inputs])
    found = sorted(profile.getstats(), key=lambda each: -each.inlinetime)
    whole = sum(each.inlinetime for each in found)
    for each in found[:_FEW]:
        yield "", "", f"{each.inlinetime / whole:.0%}", f"{each.callcount / ROUNDS:.0f}", _named(each.code)


def _named(code: CodeType | str) -> str:
    """A function of Python by name and place; built-in ones have a description instead."""
    if isinstance(code, str):
        return code.strip("<>")
    generated = code.co_filename.startswith("<")  # such as <parser of Disk>
    return code.co_filename if generated else f"{code.co_name}  {Path(code.co_filename).name}:{code.co_firstlineno}"
