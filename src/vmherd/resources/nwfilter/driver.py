"""The network filters of this host and the cards they are applied to."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from hashlib import sha256
from typing import Self
from uuid import uuid4

from vmherd.conf.nwfilter import Filter, parse_binding, parse_filter, render
from vmherd.driver.nwfilter import BindingInfo, FilterDriver, FilterInfo
from vmherd.driver.uri import ConnectURI
from vmherd.errors import AlreadyExists, BindingNotFound, FilterNotFound, InvalidState, Unsupported, VmherdError
from vmherd.resources.nwfilter import builtin, listening, script, tree
from vmherd.resources.nwfilter.cards import Cards, devices
from vmherd.resources.nwfilter.chains import CardRules
from vmherd.resources.nwfilter.firewall import Firewall
from vmherd.resources.nwfilter.learning import Learning
from vmherd.resources.nwfilter.records import Card, CardEntry, Entry, Records, binding_of
from vmherd.resources.nwfilter.together import Change, Together
from vmherd.resources.nwfilter.tree import Find
from vmherd.resources.nwfilter.watching import RuleWatch
from vmherd.state.objects import Definition
from vmherd.state.places import Places, of_uri
from vmherd.state.store import Store
from vmherd.util.process import boot_id

log = logging.getLogger("vmherd.nwfilter")

_TABLE = "vmherd-filters"


class LocalFilters(FilterDriver):
    """Filters in a store; rules in nftables."""

    def __init__(self, uri: ConnectURI, places: Places) -> None:
        super().__init__(uri)
        self._records = Records(Store(places.state / "state.db"), places.run / "listeners")
        self._run = places.run
        # Others with another state may be on this host.
        suffix = "" if uri.path == "/system" else "-" + sha256(os.fsencode(places.state)).hexdigest()[:8]
        self.cards = Cards(self._records, Firewall(_TABLE + suffix, places.run), places.run / "lock")
        self._together = Together(self.cards)
        self._watch: RuleWatch | None = None
        self._looking: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, uri: ConnectURI, *, readonly: bool = False) -> Self:
        driver = cls(uri, of_uri(uri, "nwfilters"))
        await asyncio.to_thread(builtin.define, driver._records)
        await driver._look()
        return driver

    async def close(self) -> None:
        if self._watch:
            self._watch.close()
        if self._looking:
            await self._looking
        self._records.store.close()

    async def attend(self) -> None:
        """Forget cards that are gone, make flushed rules anew, and from now on do so as soon as a flush is heard of."""
        if self._watch is None:
            with suppress(OSError):  # without rights there are no cards either
                self._watch = RuleWatch(self._look_soon)
        await self._look()

    def _look_soon(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """Forget cards that are gone, and make rules anew that somebody flushed, or nobody finished."""
        if not self._records.applied.marker and not self._records.cards.all():
            return
        try:
            async with self.cards.alone():
                await self.cards.forget_gone()
                await self.cards.settle()
            self._ensure_learner()
        except VmherdError as problem:
            log.error("the filters of cards are not applied: %s", problem)

    def _ensure_learner(self) -> None:
        """Somebody has to listen where addresses are to be learned."""
        if self.cards.learning():
            listening.ensure(self._run, self.uri.text)

    # Filters

    async def filter_list(self) -> list[FilterInfo]:
        return [_info(entry) for entry in self._records.filters.all()]

    async def filter_find(self, key: str) -> FilterInfo:
        return _info(self._records.filters.find(key))

    async def filter_xml(self, uuid: str) -> str:
        return self._records.filters.get(uuid).document

    async def filter_define(self, xml: str) -> FilterInfo:
        filter_ = parse_filter(xml)
        filter_.uuid = filter_.uuid or str(uuid4())
        async with self.cards.alone():
            entry = self._own(filter_)
            tree.require_no_loop(filter_, self._find(filter_))
            if entry.record.config != render(filter_):
                await self._redefine(entry, filter_)
        return _info(entry)

    def _own(self, filter_: Filter) -> Entry:
        """The entry that a document is about.  Raises AlreadyExists.  Source: virNWFilterObjListAssignDef"""
        assert filter_.uuid  # the caller gave one
        try:
            same = self._records.filters.get(filter_.uuid)
        except FilterNotFound:
            if other := self._records.store.find("nwfilter", filter_.name):
                raise AlreadyExists(
                    f"filter '{filter_.name}' already exists with uuid {other.uuid}",
                    hint="give the document that <uuid>",
                ) from None
            return Entry(filter_.uuid, filter_.name, Definition())
        if same.name != filter_.name:
            raise AlreadyExists(
                f"filter with same UUID but different name ('{same.name}') already exists", hint="leave <uuid> out"
            )
        return same

    def _find(self, changed: Filter) -> Find:
        """Filters by name, as they will be."""
        return lambda name: changed if name == changed.name else self._records.filter(name)

    async def _redefine(self, entry: Entry, filter_: Filter) -> None:
        """Keep a filter; every card that has it gets the new rules, or all of them keep the old ones."""
        find = self._find(filter_)
        users = self.cards.users(filter_.name, find)
        cards: dict[str, CardRules | None] = {card.uuid: await self.cards.compile(card, find) for card in users}
        if cards:
            await self.cards.settle()
        before = entry.record.config

        def put(text: str | None) -> None:
            entry.record.config = text
            self._records.filters.put(entry)

        await self.cards.apply(cards, lambda: put(render(filter_)), lambda: put(before))
        self._ensure_learner()

    async def filter_undefine(self, uuid: str) -> None:
        async with self.cards.alone():
            entry = self._records.filters.get(uuid)
            if users := self.cards.users(entry.name, self._records.filter):
                names = ", ".join(card.uuid for card in users[:3])
                raise InvalidState("nwfilter is in use", hint=f"it is applied to {names}: stop these guests first")
            entry.record.config = None
            self._records.filters.put(entry)

    # Cards

    async def binding_list(self) -> list[BindingInfo]:
        return [_binding_info(card) for card in self._records.cards.all()]

    async def binding_find(self, device: str) -> BindingInfo:
        return _binding_info(self._card(device))

    def _card(self, device: str) -> CardEntry:
        return self._records.cards.get(device)

    async def binding_xml(self, device: str) -> str:
        return self._card(device).document

    async def binding_create(self, xml: str) -> BindingInfo:
        binding = parse_binding(xml)
        device = binding.port.name
        script.require_name(device)
        if binding.link:
            raise Unsupported("the frames of a macvtap interface pass no bridge", hint="leave <linkdev> out")
        index = (await asyncio.to_thread(devices)).get(device, 0)
        card = CardEntry(device, device, Card(live=render(binding), boot=boot_id(), index=index))

        async def prepare() -> CardRules:
            await self._make_room(device, index)
            return await self.cards.compile(card, self._records.filter)

        def keep() -> None:
            self._records.cards.put(card)

        def undo() -> None:
            self._records.forget(device)

        await self._together.make(Change(device, prepare, keep, undo))
        if self.cards.how(card) is not Learning.NOTHING:
            listening.ensure(self._run, self.uri.text)
        return _binding_info(card)

    async def _make_room(self, device: str, index: int) -> None:
        """Let go of an earlier device of this name.  Raises AlreadyExists where it is the same one."""
        try:
            known = self._card(device)
        except BindingNotFound:
            return
        if known.record.index in (0, index):
            raise AlreadyExists(f"binding '{device}' already exists", hint="delete it first")
        await self.cards.remove([known])

    async def binding_delete(self, device: str) -> None:
        card = self._card(device)

        async def prepare() -> None:
            nonlocal card
            card = self._card(device)

        def keep() -> None:
            self._records.forget(device)

        def undo() -> None:
            self._records.cards.put(card)

        await self._together.make(Change(device, prepare, keep, undo))


def _info(entry: Entry) -> FilterInfo:
    return FilterInfo(uuid=entry.uuid, name=entry.name)


def _binding_info(card: CardEntry) -> BindingInfo:
    binding = binding_of(card.document)
    return BindingInfo(
        device=card.uuid,
        filter=binding.filterref.filter,
        mac=binding.mac.address,
        owner=binding.owner.uuid,
    )
