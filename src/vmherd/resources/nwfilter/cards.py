"""The cards that filters are applied to: the store says which, the kernel has their rules."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import msgspec

from vmherd.errors import Busy, FilterNotFound, OperationFailed, VmherdError
from vmherd.resources.nwfilter import bridges, tree
from vmherd.resources.nwfilter.chains import BLOCKED, CardRules, compile_card
from vmherd.resources.nwfilter.firewall import Firewall
from vmherd.resources.nwfilter.learning import Learning, learning_of, waiting_rules
from vmherd.resources.nwfilter.records import CardEntry, Records, binding_of
from vmherd.resources.nwfilter.tree import Find
from vmherd.resources.nwfilter.variables import Variables, parameters
from vmherd.util.files import on_host

log = logging.getLogger("vmherd.nwfilter")

_PATIENCE = 30.0
_POLL = 0.005


class Cards:
    """Every card of one store."""

    def __init__(self, records: Records, firewall: Firewall, lock: Path) -> None:
        self._records = records
        self._firewall = firewall
        self._lock = lock
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Nobody else changes filters or cards meanwhile, in no process.  Raises Busy after half a minute."""
        async with self._turn:
            with on_host("lock the network filters"):
                fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                deadline = time.monotonic() + _PATIENCE
                while not _locked(fd):
                    if time.monotonic() > deadline:
                        raise Busy("another process changes network filters", hint="try again")
                    await asyncio.sleep(_POLL)
                yield
            finally:
                os.close(fd)

    async def compile(self, card: CardEntry, find: Find) -> CardRules:
        """The rules of a card.  Raises what says that, and why, they cannot be made."""
        binding = binding_of(card.document)
        values = self._values(card)
        name = binding.filterref.filter
        try:
            placed = tree.flatten(name, find, values)
        except FilterNotFound as problem:
            raise OperationFailed(f"referenced filter '{problem.key}' is missing", hint="define it first") from None
        learning = learning_of(tree.missing(placed), values)
        if learning is not Learning.NOTHING:
            return waiting_rules(binding.mac.address, values)
        tracker = await self._firewall.tracker()
        return compile_card(placed, tracker, rejects=self._firewall.rejects)

    def _values(self, card: CardEntry) -> Variables:
        """What the variables of a card are: what its guest tells, its MAC address, and what was learned."""
        binding = binding_of(card.document)
        values = parameters(binding.filterref) | {"MAC": (binding.mac.address,)}
        if card.record.addresses:
            values.setdefault("IP", card.record.addresses)
        return values

    def users(self, name: str, find: Find) -> list[CardEntry]:
        """The cards that a filter is applied to, at once or by way of others."""
        reach: dict[str, bool] = {}
        found = []
        for card in self._records.cards.all():
            top = binding_of(card.document).filterref.filter
            if top not in reach:
                reach[top] = name in tree.names(top, find)
            if reach[top]:
                found.append(card)
        return found

    async def apply(
        self, cards: Mapping[str, CardRules | None], keep: Callable[[], None], undo: Callable[[], None]
    ) -> None:
        """Change what is kept, then the rules of cards, all of them at once; where that fails, ``undo``.

        The caller is ``alone``, and the kernel as the store says.
        """
        before = self._records.applied
        if not cards:
            return keep()
        marker = uuid4().hex
        with self._records.store.transaction(durable=True):
            keep()
            self._records.keep(msgspec.structs.replace(before, marker=marker))
        try:
            await self._change(cards, marker)
        except BaseException:
            with self._records.store.transaction(durable=True):
                undo()
                self._records.keep(before)
            raise
        return None

    async def _change(self, cards: Mapping[str, CardRules | None], marker: str) -> None:
        if not self._records.cards.all():
            return await self._clear()
        marks = await self._marks(cards)
        return await self._firewall.change(cards, marker, marks=marks)

    async def _clear(self) -> None:
        await self._firewall.remove()
        self._records.keep(msgspec.structs.replace(self._records.applied, marker=""))

    async def _marks(self, cards: Mapping[str, CardRules | None]) -> bool:
        """Whether notes of connections are needed; the bridges of such cards are told to show their packets."""
        tracked = [device for device, card in cards.items() if card and card.tracked]
        if not tracked or not (await self._firewall.tracker()).marks:
            return False
        await asyncio.to_thread(bridges.show_packets, tracked)
        return True

    async def settle(self) -> None:
        """Make sure that the kernel has the rules that the store says.

        Somebody may have flushed them, and whoever changed them last may have been killed half-way.
        """
        if await self._firewall.has(self._records.applied.marker):
            return None
        cards = {card.uuid: await self._compile_or_block(card) for card in self._records.cards.all()}
        if not cards:
            return await self._clear()
        marker = uuid4().hex
        self._records.keep(msgspec.structs.replace(self._records.applied, marker=marker))
        try:
            await self._renew(cards, marker)
        except VmherdError:
            # One of them it must be; the others shall have theirs.
            await self._renew(dict.fromkeys(cards, BLOCKED), marker)
            for device, rules in cards.items():
                await self._try(device, rules, marker)
        return None

    async def _renew(self, cards: Mapping[str, CardRules], marker: str) -> None:
        await self._firewall.renew(cards, marker, marks=await self._marks(cards))

    async def _try(self, device: str, rules: CardRules, marker: str) -> None:
        try:
            await self._firewall.change({device: rules}, marker, marks=await self._marks({device: rules}))
        except VmherdError as problem:
            log.error("nothing passes the card of %s: %s", device, problem)

    async def _compile_or_block(self, card: CardEntry) -> CardRules:
        try:
            return await self.compile(card, self._records.filter)
        except VmherdError as problem:
            log.error("nothing passes the card of %s: %s", card.uuid, problem)
            return BLOCKED

    async def forget_gone(self) -> None:
        """Forget the cards whose devices have gone, or have given their name to another device."""
        there = await asyncio.to_thread(devices)
        gone = []
        for card in self._records.cards.all():
            index = there.get(card.uuid, 0)
            if card.record.index == 0 and index:
                card.record.index = index
                self._records.cards.put(card)
            elif card.record.index not in (0, index):
                gone.append(card)
        if gone:
            await self.settle()
            await self.remove(gone)

    async def remove(self, cards: list[CardEntry]) -> None:
        """Let go of cards."""

        def keep() -> None:
            for card in cards:
                self._records.forget(card.uuid)

        def undo() -> None:
            for card in cards:
                self._records.cards.put(card)

        await self.apply(dict.fromkeys((card.uuid for card in cards), None), keep, undo)


def devices() -> dict[str, int]:
    """The network devices of this network namespace, with their numbers."""
    return {name: index for index, name in socket.if_nameindex()}


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
