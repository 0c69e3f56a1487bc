"""Changes of cards that are asked for at the same time, made in one step.

A step costs the kernel about as much for a hundred cards as for one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from vmherd.errors import VmherdError
from vmherd.resources.nwfilter.cards import Cards
from vmherd.resources.nwfilter.chains import CardRules


class Change(msgspec.Struct, eq=False):
    """What is wanted of one card.

    ``prepare`` makes its rules, None to have none, or raises why it cannot be; ``keep`` and ``undo`` change what is
    kept of it.
    """

    device: str
    prepare: Callable[[], Awaitable[CardRules | None]]
    keep: Callable[[], None]
    undo: Callable[[], None]
    rules: CardRules | None = None
    done: bool = False
    error: VmherdError | None = None


class Together:
    """Whoever has the turn makes the changes of all who wait for theirs."""

    def __init__(self, cards: Cards) -> None:
        self._cards = cards
        self._waiting: list[Change] = []

    async def make(self, change: Change) -> None:
        """Return once it is made.  Raises what its ``prepare`` does, HostError where the kernel refuses it."""
        self._waiting.append(change)
        try:
            async with self._cards.turn:
                # Another change of this device may have had to be made first.
                while not change.done:
                    await self._make_waiting()
        finally:
            if change in self._waiting:
                self._waiting.remove(change)
        if change.error:
            raise change.error

    async def _make_waiting(self) -> None:
        """One change of each device; the next ones stay where they are."""
        batch = list({each.device: each for each in reversed(self._waiting)}.values())[::-1]
        self._waiting = [each for each in self._waiting if each not in batch]
        try:
            async with self._cards.locked():
                await self._cards.settle()
                await self._apply([each for each in batch if await _prepared(each)])
        except VmherdError as problem:
            for each in batch:
                each.error, each.done = problem, True
        finally:
            # Where we were ended half-way, nothing was changed, and the others make theirs.
            self._waiting[:0] = [each for each in batch if not each.done]

    async def _apply(self, changes: Sequence[Change]) -> None:
        """All of them, or each by itself where the kernel refuses one."""
        try:
            await self._apply_all(changes)
        except VmherdError as problem:
            if len(changes) == 1:
                changes[0].error, changes[0].done = problem, True
                return
            for each in changes:
                await self._apply([each])

    async def _apply_all(self, changes: Sequence[Change]) -> None:
        def keep() -> None:
            for each in changes:
                each.keep()

        def undo() -> None:
            for each in changes:
                each.undo()

        await self._cards.apply({each.device: each.rules for each in changes}, keep, undo)
        for each in changes:
            each.done = True


async def _prepared(change: Change) -> bool:
    """Whether it can be made."""
    try:
        change.rules = await change.prepare()
    except VmherdError as problem:
        change.error, change.done = problem, True
    return not change.done
