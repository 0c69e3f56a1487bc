"""The words that change the tables in the kernel, each script one transaction.

    table bridge NAME
      sent2, received2   port -> its chain for frames          prerouting at -300, postrouting at 300
      sent3, received3   port -> its chain for traffic         prerouting at 10, postrouting at 290
      answered           lets pass what the kernel answers to what is refused
      marker             which state of the store this is
    table inet NAME      only where the kernel needs notes of connections on packets (``tracking``)

A map finds the chain of a port, so a packet's way is as long with one port as with a thousand.  The chains of a card
are called as its device; chains that filters name stand inside of them, without names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from vmherd.errors import InvalidArgument
from vmherd.resources.nwfilter import tracking
from vmherd.resources.nwfilter.chains import CardRules

#: Map, hook, its priority, and what it looks at.  Frames are looked at before anything else sees them: at the
#: priority of destination NAT, as libvirt does.  Connections are known after br_netfilter's turn, which is 0.
_MAPS = (
    ("sent2", "prerouting", -300, "iifname"),
    ("sent3", "prerouting", 10, "iifname"),
    ("received3", "postrouting", 290, "oifname"),
    ("received2", "postrouting", 300, "oifname"),
)
#: What a kernel takes as a device's name is wider; nftables' words are not.
_DEVICE = re.compile(r"[A-Za-z0-9_.:@+\-]{1,15}")


def require_name(device: str) -> None:
    """Raises InvalidArgument for a device whose name nftables cannot be told."""
    if not _DEVICE.fullmatch(device):
        raise InvalidArgument(
            f"no filter can be applied to the device {device!r}",
            hint="a name of up to 15 letters, digits and any of _.:@+-",
        )


def change(table: str, cards: Mapping[str, CardRules | None], marker: str, *, marks: bool) -> str:
    """Give cards other rules, or none; all others keep theirs."""
    script = [*_frame(table, marker)]
    if marks:
        script += [*tracking.notes(table), *_forgetting(table)]
    if any(card and card.answered for card in cards.values()):
        script += tracking.answers(table)
    for device, card in cards.items():
        script += _card(table, device, card)
    return "\n".join(script) + "\n"


def anew(table: str, cards: Mapping[str, CardRules | None], marker: str, *, marks: bool) -> str:
    """Make everything as told, whatever there is now."""
    return remove(table) + change(table, cards, marker, marks=marks)


def remove(table: str) -> str:
    """Leave nothing of ours."""
    return "".join(f"add table {family} {table}\ndelete table {family} {table}\n" for family in ("bridge", "inet"))


def _frame(table: str, marker: str) -> Iterator[str]:
    """What the chains of cards hang in."""
    yield f"add table bridge {table}"
    pairs = "typeof arp saddr ip . arp saddr ip; flags dynamic,timeout; timeout 1s; size 65535"
    yield f"add set bridge {table} gratuitous {{ {pairs}; }}"
    yield f"add chain bridge {table} answered"
    for name, hook, priority, side in _MAPS:
        yield f"add map bridge {table} {name} {{ type ifname : verdict; }}"
        yield f"add chain bridge {table} by-{name} {{ type filter hook {hook} priority {priority}; }}"
        yield f"flush chain bridge {table} by-{name}"
        if name == "received3":
            yield f"add rule bridge {table} by-{name} jump answered"
        yield f"add rule bridge {table} by-{name} {side} vmap @{name}"
    yield f"add chain bridge {table} marker"
    yield f"flush chain bridge {table} marker"
    yield f'add rule bridge {table} marker counter comment "{marker}"'


def _forgetting(table: str) -> Iterator[str]:
    """Take the notes away once they were read."""
    for name, hook, priority in (("noted", "prerouting", 11), ("noted-out", "postrouting", 291)):
        yield f"add chain bridge {table} {name} {{ type filter hook {hook} priority {priority}; }}"
        yield f"flush chain bridge {table} {name}"
        yield tracking.forget(table, name)


def _card(table: str, device: str, card: CardRules | None) -> Iterator[str]:
    card = card or CardRules()
    for name, rules in (
        ("sent2", card.sent),
        ("sent3", card.sent_traffic),
        ("received3", card.received_traffic),
        ("received2", card.received),
    ):
        chain = f"{name}-{_word(device)}"
        element = f'element bridge {table} {name} {{ "{device}" : jump {chain} }}'
        yield f"add chain bridge {table} {chain}"
        yield f"flush chain bridge {table} {chain}"
        yield f"add {element}"
        if rules:
            yield from (f"add rule bridge {table} {chain} {rule}" for rule in rules)
        else:
            yield f"delete {element}"
            yield f"delete chain bridge {table} {chain}"


def _word(device: str) -> str:
    """A device's name as part of that of a chain, which has fewer characters to choose from."""
    return re.sub(r"[^A-Za-z0-9_.\-]", lambda found: f"/{ord(found[0]):x}", device)
