"""What frames tell of a guest's addresses: ARP, IPv4, and the DHCP between it and its server.

Sources: RFC 826, RFC 791, RFC 2131 and RFC 2132
"""

from __future__ import annotations

from ipaddress import IPv4Address

import msgspec

_ARP, _IPV4 = 0x0806, 0x0800
_UDP = 17
_SERVER, _CLIENT = 67, 68
_COOKIE = bytes((99, 130, 83, 99))
#: Options: an address that is asked for, how long it is given for, and what a message is.
_REQUESTED, _LEASE_TIME, _KIND, _PAD, _END = 50, 51, 53, 0, 255
_DECLINE, _ACK, _RELEASE = 4, 5, 7
FOREVER = 0xFFFFFFFF


class Given(msgspec.Struct, frozen=True):
    """A server gives the guest an address, for so many seconds."""

    address: str
    seconds: int
    server: str


class GivenBack(msgspec.Struct, frozen=True):
    """The guest does not need, or cannot use, an address any more."""

    address: str


class Used(msgspec.Struct, frozen=True):
    """The guest sends with an address of its own choice."""

    address: str


Told = Given | GivenBack | Used


def told(frame: bytes, mac: bytes, *, sent: bool) -> Told | None:
    """What a frame to or from the guest with this MAC address tells, if anything."""
    if sent and frame[6:12] != mac:
        return None
    kind = int.from_bytes(frame[12:14], "big")
    if kind == _ARP and sent:
        return _arp(frame[14:], mac)
    if kind != _IPV4 or len(frame) < 34 or frame[14] >> 4 != 4:
        return None
    head = (frame[14] & 15) * 4
    rest = frame[14 + head :]
    if frame[23] == _UDP and len(rest) >= 8 and not int.from_bytes(frame[20:22], "big") & 0x1FFF:
        ports = int.from_bytes(rest[0:2], "big"), int.from_bytes(rest[2:4], "big")
        if ports == ((_CLIENT, _SERVER) if sent else (_SERVER, _CLIENT)):
            return _dhcp(rest[8:], mac, str(IPv4Address(frame[26:30])), sent=sent)
    return _used(frame[26:30]) if sent else None


def _arp(message: bytes, mac: bytes) -> Used | None:
    if message[:6] != b"\0\1\x08\0\6\4" or message[8:14] != mac:
        return None
    return _used(message[14:18])


def _used(address: bytes) -> Used | None:
    """Every host address but those that say nothing of who has them."""
    if len(address) < 4:
        return None
    found = IPv4Address(address)
    nobodys = found.is_unspecified or found.is_multicast or found.is_loopback or address == b"\xff\xff\xff\xff"
    return None if nobodys else Used(str(found))


def _dhcp(message: bytes, mac: bytes, sender: str, *, sent: bool) -> Given | GivenBack | None:
    if len(message) < 240 or message[28:34] != mac or message[236:240] != _COOKIE:
        return None
    options = _options(message[240:])
    kind = options.get(_KIND, b"")
    if not sent and kind == bytes([_ACK]) and (found := _used(message[16:20])):
        seconds = int.from_bytes(options[_LEASE_TIME], "big") if _LEASE_TIME in options else FOREVER
        return Given(found.address, seconds, sender)
    if sent and kind == bytes([_RELEASE]):
        return GivenBack(str(IPv4Address(message[12:16])))
    if sent and kind == bytes([_DECLINE]) and len(options.get(_REQUESTED, b"")) == 4:
        return GivenBack(str(IPv4Address(options[_REQUESTED])))
    return None


def _options(data: bytes) -> dict[int, bytes]:
    """The options of a message, as far as they are whole."""
    found: dict[int, bytes] = {}
    place = 0
    while place + 1 < len(data) and data[place] != _END:
        if data[place] == _PAD:
            place += 1
            continue
        length = data[place + 1]
        found.setdefault(data[place], data[place + 2 : place + 2 + length])
        place += 2 + length
    return found
