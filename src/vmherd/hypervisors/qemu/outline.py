"""What statistics need to know of a guest's document, so that none is parsed twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from vmherd.errors import InvalidArgument
from vmherd.state.domains import Entry

if TYPE_CHECKING:
    from vmherd.conf.domain import Domain
    from vmherd.conf.domain.disk import Disk
    from vmherd.conf.domain.net import Interface

#: Documents parsed before others get their turn.
_AT_ONCE = 8


class DiskOutline(msgspec.Struct, frozen=True, kw_only=True):
    """``path`` is the image on this host, "" for one elsewhere; ``source`` what names it, wherever it is.

    ``kind`` is the type of storage; an empty drive has neither path nor source.
    """

    target: str
    alias: str
    kind: str
    format: str
    path: str = ""
    source: str = ""
    empty: bool = False
    readonly: bool = False


class CardOutline(msgspec.Struct, frozen=True, kw_only=True):
    """``device`` is the card's end on the host, "" where it has none.

    ``shared`` says that the host uses it too, so that it counts as the guest does and not as its opposite.
    """

    mac: str
    device: str = ""
    shared: bool = False


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """A guest's document as statistics see it; memory in bytes."""

    disks: tuple[DiskOutline, ...]
    cards: tuple[CardOutline, ...]
    vcpus: int
    max_vcpus: int
    iothreads: int
    memory: int
    balloon: str | None
    accelerated: bool

    def disk(self, key: str) -> DiskOutline:
        """The disk with this target, or of this image if it has only one.  Raises InvalidArgument."""
        found = [disk for disk in self.disks if disk.target == key]
        if not found and key.startswith("/"):
            found = [disk for disk in self.disks if key in (disk.path, disk.source)]
        if len(found) != 1:
            hint = f"there are: {', '.join(disk.target for disk in self.disks) or 'none'}"
            raise InvalidArgument(f"invalid path {key} not assigned to domain", hint=hint)
        return found[0]

    def card(self, key: str) -> CardOutline:
        """The card with this device on the host, or with this MAC address.  Raises InvalidArgument."""
        found = [card for card in self.cards if key and key in (card.device, card.mac)]
        found = found or [card for card in self.cards if card.mac == key.lower()]
        if len(found) != 1:
            known = ", ".join(card.device or card.mac for card in self.cards)
            raise InvalidArgument(
                f"invalid path, '{key}' is not a known interface", hint=f"there are: {known or 'none'}"
            )
        return found[0]


def of(entry: Entry) -> Outline:
    """How a guest runs, or how it starts next time."""
    from vmherd.conf.domain import parse_domain

    text = entry.live.xml if entry.live and entry.live.xml else entry.record.config
    return _EMPTY if text is None else made_of(parse_domain(text))


#: Of a transient guest whose start has just begun.
_EMPTY = Outline(disks=(), cards=(), vcpus=0, max_vcpus=0, iothreads=0, memory=0, balloon=None, accelerated=False)


def made_of(domain: Domain) -> Outline:
    """The outline of a document."""
    balloon = domain.devices.memballoon
    has_balloon = balloon is not None and balloon.model != "none"
    alias = balloon.alias.name if balloon is not None and balloon.alias else ""
    return Outline(
        disks=tuple(map(_disk, domain.devices.disks)),
        cards=tuple(map(_card, domain.devices.interfaces)),
        vcpus=domain.vcpu.current or domain.vcpu.count,
        max_vcpus=domain.vcpu.count,
        iothreads=max(domain.iothreads or 0, len(domain.iothreadids)),
        memory=domain.memory.size,
        balloon=alias if has_balloon else None,
        accelerated=str(domain.type) == "kvm",
    )


def _disk(disk: Disk) -> DiskOutline:
    source = disk.source
    path = (source.file or source.dev or source.dir or "") if source else ""
    return DiskOutline(
        target=disk.target.dev,
        alias=disk.alias.name if disk.alias else "",
        kind=str(disk.type),
        format=str(disk.driver.type) if disk.driver and disk.driver.type else "raw",
        path=path,
        source=path or (source.name or "" if source else ""),
        empty=disk.is_empty,
        readonly=disk.readonly,
    )


def _card(interface: Interface) -> CardOutline:
    device = interface.target.dev if interface.target else None
    kind = str(interface.type)
    # The "target" of a vhost-user card is a socket, not a device of the host.
    has_device = device is not None and "/" not in device and kind != "hostdev"
    return CardOutline(
        mac=interface.mac.address if interface.mac else "",
        device=device or "" if has_device else "",
        shared=kind == "direct",
    )


class Outlines:
    """Outlines by guest, each made once per change of its document."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str | None, Outline]] = {}

    def of(self, entry: Entry) -> Outline:
        text = entry.live.xml if entry.live and entry.live.xml else entry.record.config
        known = self._known.get(entry.uuid)
        if known is None or known[0] != text:
            known = self._known[entry.uuid] = (text, of(entry))
        return known[1]

    async def prepare(self, entries: Sequence[Entry]) -> None:
        """Make those that are not there yet, while others get their turn."""
        for number, entry in enumerate(self._new(entries), start=1):
            self.of(entry)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _new(self, entries: Sequence[Entry]) -> Iterator[Entry]:
        return (entry for entry in entries if entry.uuid not in self._known)

    def __len__(self) -> int:
        return len(self._known)

    def forget(self, known: set[str]) -> None:
        """Keep nothing of guests but these."""
        for uuid in self._known.keys() - known:
            del self._known[uuid]
