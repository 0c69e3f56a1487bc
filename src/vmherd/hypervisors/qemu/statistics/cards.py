"""Counters of network cards, as the guest sees them.

The host counts at its own end, so that what it sent is what the guest received; but for a device that both share.
Source: virNetDevTapInterfaceStats of libvirt; /proc/net/dev in proc(5).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import asdict

from vmherd.driver.blocks import NetStats
from vmherd.hypervisors.qemu.outline import CardOutline
from vmherd.hypervisors.qemu.statistics.guest import Guest, Params, Replies

_TABLE = Path("/proc/net/dev")
#: Columns of the table: bytes, packets, errors and drops of what the host received, then of what it sent.
_RECEIVED, _SENT = slice(0, 4), slice(8, 12)


def counted() -> dict[str, NetStats]:
    """Counters of every network device of the host, from its own point of view."""
    found = {}
    for line in _TABLE.read_text().splitlines()[2:]:
        name, _, columns = line.partition(":")
        numbers = [int(word) for word in columns.split()]
        found[name.strip()] = NetStats(
            **dict(zip(_NAMES[:4], numbers[_RECEIVED], strict=True)),
            **dict(zip(_NAMES[4:], numbers[_SENT], strict=True)),
        )
    return found


_NAMES = ("rx_bytes", "rx_packets", "rx_errs", "rx_drop", "tx_bytes", "tx_packets", "tx_errs", "tx_drop")


def seen_by_guest(card: CardOutline, found: Mapping[str, NetStats]) -> NetStats | None:
    """The counters of a card; None where the host counts nothing, as for user-mode networking."""
    counted = found.get(card.device)
    if counted is None or card.shared:
        return counted
    values: dict[str, int] = asdict(counted)
    return NetStats(**{_OTHER[name]: value for name, value in values.items()})


_OTHER = {name: ("tx" if name.startswith("rx") else "rx") + name[2:] for name in _NAMES}

#: The names of the bulk statistics.
_WORDS = {name: name.replace("packets", "pkts").replace("_", ".") for name in _NAMES}


def params(guest: Guest, _: Replies) -> Params:
    if guest.live is None:
        return
    yield "net.count", len(guest.outline.cards)
    for number, card in enumerate(guest.outline.cards):
        if not card.device or (stats := seen_by_guest(card, guest.cards())) is None:
            continue
        yield f"net.{number}.name", card.device
        for name, word in _WORDS.items():
            yield f"net.{number}.{word}", getattr(stats, name)
