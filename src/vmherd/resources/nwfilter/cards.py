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

from vmherd.errors import BindingNotFound, Busy, FilterNotFound, OperationFailed, VmherdError
from vmherd.resources.nwfilter import bridges, tree
from vmherd.resources.nwfilter.chains import BLOCKED, CardRules, compile_card
from vmherd.resources.nwfilter.firewall import Firewall
from vmherd.resources.nwfilter.learning import SERVERS, Learning, learning_of, leases_after, waiting_rules
from vmherd.resources.nwfilter.packets import Told
from vmherd.resources.nwfilter.records import CardEntry, Records, binding_of
from vmherd.resources.nwfilter.tree import Find, Placed
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
        #: Whoever changes something in this process waits for it.
        self.turn = asyncio.Lock()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Nobody else changes filters or cards meanwhile, in no process.  Raises Busy after half a minute."""
        async with self.turn, self.locked():
            yield

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """No other process changes filters or cards meanwhile; the caller has the ``turn`` in this one."""
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
        told = self._told(card)
        how, placed = self._plan(card, find, told)
        if how is not Learning.NOTHING:
            if not card.record.leases:
                return waiting_rules(self.mac_of(card), told)
            placed = self._flat(card, find, told | {"IP": card.record.addresses})
        tracker = await self._firewall.tracker()
        return compile_card(placed, tracker, rejects=self._firewall.rejects)

    def _told(self, card: CardEntry) -> dict[str, tuple[str, ...]]:
        """What the variables of a card are without anything learned: what its guest tells, and its MAC address."""
        return parameters(binding_of(card.document).filterref) | {"MAC": (self.mac_of(card),)}

    def _plan(self, card: CardEntry, find: Find, told: Variables) -> tuple[Learning, list[Placed]]:
        """How its address is learned, and the rules."""
        placed = self._flat(card, find, told)
        return learning_of(tree.missing(placed), told), placed

    def _flat(self, card: CardEntry, find: Find, values: Variables) -> list[Placed]:
        try:
            return tree.flatten(binding_of(card.document).filterref.filter, find, values)
        except FilterNotFound as problem:
            raise OperationFailed(f"referenced filter '{problem.key}' is missing", hint="define it first") from None

    @staticmethod
    def mac_of(card: CardEntry) -> str:
        return binding_of(card.document).mac.address

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
        if None in cards.values() and not self._records.has_cards():
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

    # What is learned

    def learning(self) -> list[tuple[CardEntry, Learning]]:
        """The cards whose addresses are to be learned, and how; one by any way until it has one."""
        return [(card, how) for card in self._records.cards.all() if (how := self.how(card)) is not Learning.NOTHING]

    def how(self, card: CardEntry) -> Learning:
        """How the address of a card is to be learned from now on."""
        try:
            how, _ = self._plan(card, self._records.filter, self._told(card))
        except VmherdError:
            return Learning.NOTHING  # nothing passes it
        return Learning.NOTHING if how is Learning.ANY and card.record.leases else how

    async def learn(self, device: str, index: int, told: Told) -> None:
        """Take note of what a card's frames tell, and let pass what it may send now."""
        async with self.alone():
            try:
                card = self._records.cards.get(device)
            except BindingNotFound:
                return
            how = self.how(card)
            if how is not Learning.NOTHING and card.record.index == index:
                servers = self._told(card).get(SERVERS, ())
                await self._lease(card, leases_after(card.record.leases, told, how, servers))

    async def expire(self, now: float) -> None:
        """Forget addresses whose time is over."""
        if not any(ends and ends <= now for card in self._records.cards.all() for ends in card.record.leases.values()):
            return
        async with self.alone():
            for card in self._records.cards.all():
                left = {one: ends for one, ends in card.record.leases.items() if ends is None or ends > now}
                await self._lease(card, left)

    def next_end(self) -> float | None:
        """When the first lease ends."""
        ends = [ends for card in self._records.cards.all() for ends in card.record.leases.values() if ends]
        return min(ends, default=None)

    async def _lease(self, card: CardEntry, leases: dict[str, float | None]) -> None:
        before = card.record.leases
        if leases == before:
            return

        def put(value: dict[str, float | None]) -> None:
            card.record.leases = value
            self._records.cards.put(card)

        if list(leases) == list(before):  # it was given for longer
            put(leases)
            return
        card.record.leases = leases
        rules = await self.compile(card, self._records.filter)
        await self.settle()
        await self.apply({card.uuid: rules}, lambda: put(leases), lambda: put(before))


def devices() -> dict[str, int]:
    """The network devices of this network namespace, with their numbers."""
    return {name: index for index, name in socket.if_nameindex()}


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
