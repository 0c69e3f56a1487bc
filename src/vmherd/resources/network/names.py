"""Bridges get a name and an address that nothing else has.

Source: networkBridgeNameValidate, virNetworkSetBridgeMacAddr and networkFindUnusedBridgeName of libvirt
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress

from vmherd.conf.network import Network
from vmherd.conf.network.rules import ROUTED
from vmherd.conf.network.shared import NetworkMac
from vmherd.errors import OperationFailed, Unsupported
from vmherd.resources.network.records import Entry, outline

_PATTERN = "virbr%d"
#: A name and its zero byte (IFNAMSIZ).
MOST = 15


def choose(network: Network, others: Iterable[Entry]) -> None:
    """Give a network whose bridge we make what it does not say: the bridge's name and its MAC address.

    Raises OperationFailed for a bridge of another network, Unsupported for a name that no device can have.
    """
    if network.mode not in ROUTED:
        return
    assert network.bridge is not None  # parse_network gives one to each
    taken = {name for entry in others for name in _bridges(entry)}
    wanted = network.bridge.name
    if not wanted or "%d" in wanted:
        network.bridge.name = _free(wanted or _PATTERN, taken)
    elif wanted in taken:
        hint = "choose another <bridge name=''/>, or leave it out"
        raise OperationFailed(f"bridge name '{wanted}' already in use.", hint=hint)
    if network.mac is None:
        network.mac = NetworkMac(address=_mac())


def _bridges(entry: Entry) -> Iterator[str]:
    """The bridges that a network has, or would have."""
    for text in {entry.record.config, entry.live, entry.record.coming} - {None}:
        yield outline(text).bridge


def _free(pattern: str, taken: set[str]) -> str:
    check(pattern.replace("%d", "0"))
    existing = {name for _, name in socket.if_nameindex()}
    for number in range(1000):
        name = pattern.replace("%d", str(number), 1)
        if name not in taken and name not in existing:
            return name
    raise OperationFailed(f"bridge generation exceeded max id 999 of {pattern!r}", hint="name a <bridge> yourself")


def check(name: str) -> None:
    """Raises Unsupported for a name that the kernel does not take (dev_valid_name)."""
    place = "network/bridge/@name"
    if len(os.fsencode(name)) > MOST:
        raise Unsupported(f"{name!r} is too long for a network device", place=place, hint=f"at most {MOST} letters")
    if name in (".", "..") or any(letter.isspace() or letter in "/:" for letter in name):
        raise Unsupported(f"{name!r} cannot be the name of a network device", place=place)


def exists(name: str) -> bool:
    """Whether the host has a network device of this name."""
    with suppress(OSError):
        return bool(socket.if_nametoindex(name))
    return False


def _mac() -> str:
    """Of QEMU's range, as guests' cards have it."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))
