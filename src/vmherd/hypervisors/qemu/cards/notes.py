"""What was made for the cards of a guest and does not end with its QEMU by itself.

The note is in the guest's folder before anything is made, so that whoever sees the guest end can take it all back,
whatever became of who made it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from vmherd.util.files import write_atomically

_NAME = "cards.json"


class Place(msgspec.Struct, frozen=True):
    """A port in a network: their UUIDs."""

    network: str
    port: str


class Card(msgspec.Struct, kw_only=True):
    """One card by its alias.

    ``told`` is the card of a network as its document describes it, ``network`` and ``port`` (UUIDs) its place there.
    ``device`` is the network device at the host's end: ``filtered`` if a network filter may be bound to it, ``switch``
    if it may be a port of Open vSwitch, ``limited`` if netfilter may limit it.  ``macvtap`` if it stays until somebody
    removes the device with the address ``mac``; ``lower`` is the card of the host that has taken on this address, and
    ``lower_mac`` its own.  ``function`` is the number of a virtual function of the card ``lower``, which had the
    address ``lower_mac`` and the VLAN ``vlan``.
    """

    alias: str
    told: str = ""
    network: str = ""
    port: str = ""
    device: str = ""
    mac: str = ""
    filtered: bool = False
    switch: bool = False
    limited: bool = False
    macvtap: bool = False
    lower: str = ""
    lower_mac: str = ""
    function: int | None = None
    vlan: int = 0


class Cards(msgspec.Struct):
    """Those of one guest; ``uri`` leads to the drivers that have to do with them."""

    uri: str
    cards: list[Card] = []

    def find(self, alias: str) -> Card | None:
        return next((each for each in self.cards if each.alias == alias), None)


def is_there(folder: Path) -> bool:
    return (folder / _NAME).exists()


def read(folder: Path) -> Cards:
    """What is noted of the guest with this folder."""
    try:
        return msgspec.json.decode((folder / _NAME).read_bytes(), type=Cards)
    except FileNotFoundError:
        return Cards("")


def change(folder: Path, uri: str, alias: str, edit: Callable[[Card], None]) -> None:
    """Note something of a card; whoever calls holds the guest's job."""
    noted = read(folder)
    noted.uri = uri
    card = noted.find(alias)
    if card is None:
        card = Card(alias=alias)
        noted.cards.append(card)
    edit(card)
    write_atomically(folder / _NAME, msgspec.json.encode(noted))


def drop(folder: Path, alias: str) -> None:
    """A card is gone, and all that was made for it."""
    noted = read(folder)
    kept = [each for each in noted.cards if each.alias != alias]
    if len(kept) != len(noted.cards):
        write_atomically(folder / _NAME, msgspec.json.encode(Cards(noted.uri, kept)))
