"""Taking back what was made for cards, by their notes, once QEMU has let go of them.

Every step may be done twice, and one that fails does not keep the others from being done.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path

from vmherd.errors import NetworkNotFound, NetworkPortNotFound, VmherdError
from vmherd.hypervisors.qemu.cards import notes
from vmherd.hypervisors.qemu.cards.notes import Card

log = logging.getLogger("vmherd.qemu")


async def all_of(folder: Path) -> None:
    """Those of the guest with this folder."""
    for card in notes.read(folder).cards:
        await one(folder, card.alias)


async def one(folder: Path, alias: str) -> None:
    """That of one card, if there is anything."""
    noted = notes.read(folder)
    card = noted.find(alias)
    if card is not None:
        await _release(card, noted.uri)
        notes.drop(folder, alias)


async def _release(card: Card, uri: str) -> None:
    # What these need is imported where there is something to do: most cards have none of it.
    if card.filtered:
        from vmherd.hypervisors.qemu.cards import filters

        await _try(card, filters.unbind(card.device, uri))
    if card.switch:
        from vmherd.hypervisors.qemu.host import openvswitch

        await _try(card, openvswitch.remove(card.device))
    if card.limited:
        from vmherd.util import traffic

        await _try(card, traffic.forget(card.device))
    if card.function is not None:
        from vmherd.hypervisors.qemu.host import functions

        function = functions.Function(card.lower, card.function)
        await _try(card, functions.give(function, functions.Settings(card.lower_mac, card.vlan)))
    await _remove_macvtap(card)
    if card.port:
        await _try(card, leave(card.network, card.port, uri))


async def _remove_macvtap(card: Card) -> None:
    if card.macvtap:
        from vmherd.hypervisors.qemu.host import macvtap

        if card.device:
            await _try(card, macvtap.remove(card.device, card.mac))
        if card.lower_mac:
            await _try(card, macvtap.set_address(card.lower, card.lower_mac))


async def leave(network: str, port: str, uri: str) -> None:
    """Give a port of a network back; one that is gone already is no error."""
    from vmherd.hypervisors.qemu.cards import ports

    async with ports.networks(uri) as driver:
        with suppress(NetworkNotFound, NetworkPortNotFound):
            await driver.port_delete(network, port)


async def _try(card: Card, step: Awaitable[None]) -> None:
    try:
        await step
    except VmherdError as problem:
        log.warning("cannot take back all of the card %s (%s): %s", card.alias, card.device or "no device", problem)
