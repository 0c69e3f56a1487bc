"""Network cards, and what they do by themselves.

Source: udevProcessNetworkInterface and virNetDevGetFeatures of libvirt; linux/ethtool.h.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct

from vmherd.conf.interface import Link, LinkState
from vmherd.conf.nodedev.kinds import Ethernet, Feature, Net, Wireless
from vmherd.resources.nodedev.sysfs import Node, names

_SIOCETHTOOL = 0x8946
#: Commands that ask whether something is on.
_ASK = {"rx": 0x14, "tx": 0x16, "sg": 0x18, "tso": 0x1E, "gso": 0x23, "gro": 0x2B}
_GET_FLAGS = 0x25
_FLAGS = {"lro": 1 << 15, "rxvlan": 1 << 8, "txvlan": 1 << 7, "ntuple": 1 << 27, "rxhash": 1 << 28}
_GET_STRINGS, _GET_FEATURES, _FEATURE_NAMES = 0x1B, 0x3A, 4
#: Letters in a name of a feature, and more features than there are.
_NAME_SIZE, _MOST = 32, 128


def describe(node: Node) -> Net | None:
    """None for devices that are made: bridges, VLANs, ...: those are <interface>."""
    if node.type not in ("", "wlan"):
        return None
    return Net(
        interface=node.name,
        address=node.text("address"),
        link=link(node),
        features=[Feature(name=name) for name in _features(node)],
        medium=Wireless() if node.type == "wlan" else Ethernet(),
    )


def link(node: Node) -> Link:
    """The state of the cable, and its speed where it is up."""
    told = node.text("operstate") or ""
    state = LinkState(told) if told in set(LinkState) else None
    speed = node.number("speed") if state is LinkState.UP else None
    return Link(speed=speed if speed and speed > 0 else None, state=state)


def _features(node: Node) -> list[str]:
    """In libvirt's order.  None can be told of a card that was recorded."""
    try:
        if not node.sysfs.is_ours or node.number("ifindex") != socket.if_nametoindex(node.name):
            return []
    except OSError:
        return []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        found = [name for name, command in _ASK.items() if _value(ours, node.name, command)]
        flags = _value(ours, node.name, _GET_FLAGS)
        found += [name for name, bit in _FLAGS.items() if flags & bit]
        if _does_rdma(node):
            found.append("rdma")
        if _is_on(ours, node.name, b"tx-udp_tnl-segmentation"):
            found.append("txudptnl")
    return found


def _value(ours: socket.socket, name: str, command: int) -> int:
    """The answer to a command, 0 if the card does not know it."""
    told = array.array("B", struct.pack("II", command, 0))
    return int(struct.unpack_from("I", told, 4)[0]) if _ask(ours, name, told) else 0


def _ask(ours: socket.socket, name: str, told: array.array[int]) -> bool:
    """Have the kernel answer in the place of the question."""
    request = struct.pack("16sP16x", os.fsencode(name), told.buffer_info()[0])
    try:
        fcntl.ioctl(ours, _SIOCETHTOOL, request)
    except OSError:
        return False
    return True


def _is_on(ours: socket.socket, name: str, feature: bytes) -> bool:
    """Whether a feature is on that has a name but no command."""
    strings = array.array(
        "B", struct.pack("III", _GET_STRINGS, _FEATURE_NAMES, _MOST).ljust(12 + _MOST * _NAME_SIZE, b"\0")
    )
    if not _ask(ours, name, strings):
        return False
    text = strings.tobytes()[12:]
    all_names = [text[at : at + _NAME_SIZE].rstrip(b"\0") for at in range(0, len(text), _NAME_SIZE)]
    if feature not in all_names:
        return False
    blocks = _MOST // 32
    states = array.array("B", struct.pack("II", _GET_FEATURES, blocks).ljust(8 + 16 * blocks, b"\0"))
    number = all_names.index(feature)
    # For each 32 features: those there are, those that were asked for, those that are on, those that never change.
    return _ask(ours, name, states) and bool(
        struct.unpack_from("I", states, 8 + number // 32 * 16 + 8)[0] >> number % 32 & 1
    )


def _does_rdma(node: Node) -> bool:
    card = os.path.realpath(node.path / "device")
    folder = node.sysfs.sys / "class/infiniband"
    return any(os.path.realpath(folder / name / "device") == card for name in names(folder))
