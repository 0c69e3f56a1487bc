"""Work that changes the thread it runs in: its namespaces, its rights, its labels.

On Linux all of these belong to the thread, and a program started by it inherits them; so a thread that does one thing
and ends needs no process of its own, and the rest of the program stays as it is.  Source: namespaces(7), credentials(7)
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


def apart(work: Callable[[], T]) -> T:
    """Do ``work`` in a new thread, which ends with it; returns or raises what it does.  The caller waits."""
    done = _Done(work)
    thread = threading.Thread(target=done.run, name="apart")
    thread.start()
    thread.join()
    return done.result()


class _Done(Generic[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._results: list[T] = []
        self._problem: BaseException | None = None

    def run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as problem:  # noqa: BLE001 - it is raised where it is waited for
            self._problem = problem

    def result(self) -> T:
        if self._problem is not None:
            raise self._problem
        return self._results[0]
