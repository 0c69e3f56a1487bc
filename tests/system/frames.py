"""Frames to send from one network namespace and to look for in another, byte by byte.

wire = Wire(guest, "eth0")           a socket in that namespace, which sees and sends whole frames
wire.send(arp(MAC, "10.0.0.1", wanted="10.0.0.2"))
wire.hears(marker)                   whether that frame arrives
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import TypeVar

from namespaces import Namespace

T = TypeVar("T")

BROADCAST = "ff:ff:ff:ff:ff:ff"
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_ALL_FRAMES = 3  # ETH_P_ALL
_PACKETS, _BESIDE, _TAGGED = 263, 8, 16  # SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID


def inside(namespace: Namespace, work: Callable[[], T]) -> T:
    """What ``work`` makes in another network namespace; a socket stays in the one that it was made in."""
    found: list[T] = []

    def run() -> None:
        fd = os.open(f"/proc/{namespace.holder.pid}/ns/net", os.O_RDONLY)
        try:
            assert ctypes.CDLL(None, use_errno=True).setns(fd, _NEW_NETWORK) == 0
            found.append(work())
        finally:
            os.close(fd)

    thread = threading.Thread(target=run)  # its namespace ends with it
    thread.start()
    thread.join()
    return found[0]


class Wire:
    """A network device of a namespace as its driver sees it."""

    def __init__(self, namespace: Namespace, device: str) -> None:
        self._socket = inside(
            namespace, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_FRAMES))
        )
        self._socket.setsockopt(_PACKETS, _BESIDE, 1)
        inside(namespace, lambda: self._socket.bind((device, _ALL_FRAMES)))

    def send(self, frame: bytes) -> None:
        self._socket.send(frame)

    def hears(self, frame: bytes, *, patience: float = 5.0) -> bool:
        """Whether this frame comes within ``patience`` seconds; others are read over."""
        return frame in self.until(frame, patience=patience)

    def until(self, last: bytes, *, patience: float = 5.0) -> list[bytes]:
        """What comes up to a frame, without padding; all that comes where that one does not."""
        heard: list[bytes] = []
        deadline = time.monotonic() + patience
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._socket], [], [], left)[0]:
                frame = self._received()
                heard.append(frame)
                if frame == last:
                    break
        return heard

    def _received(self) -> bytes:
        """The next frame, with the VLAN tag that the kernel keeps beside it."""
        frame, beside, _, _ = self._socket.recvmsg(65535, 256)
        status, tag = struct.unpack_from("=I12xH", beside[0][2]) if beside else (0, 0)
        return frame[:12] + struct.pack("!HH", 0x8100, tag) + frame[12:] if status & _TAGGED else frame

    def forget(self) -> None:
        """Whatever came up to now."""
        while select.select([self._socket], [], [], 0)[0]:
            self._socket.recv(65535)

    def close(self) -> None:
        self._socket.close()


def passes(sender: Wire, receiver: Wire, frame: bytes, last: bytes) -> bool:
    """Whether a frame arrives; ``last`` is one that does, so that nobody waits for what does not come."""
    receiver.forget()
    sender.send(frame)
    sender.send(last)
    heard = receiver.until(last)
    assert last in heard, "the frame that always passes did not"
    return frame in heard


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ethernet(source: str, target: str, kind: int, content: bytes) -> bytes:
    return (mac(target) + mac(source) + struct.pack("!H", kind) + content).ljust(60, b"\0")


def arp(
    sender: str,
    address: str,
    *,
    wanted: str = "10.0.0.2",
    source: str = "",
    target: str = BROADCAST,
    told: str = "00:00:00:00:00:00",
    operation: int = 1,
    kind: int = 0x0806,
) -> bytes:
    """``sender`` says that ``address`` is its own, in a frame from ``source``."""
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    content = head + mac(sender) + ip_address(address).packed + mac(told) + ip_address(wanted).packed
    return ethernet(source or sender, target, kind, content)


def udp(
    source: str,
    target: str,
    sender: str,
    receiver: str,
    *,
    ports: tuple[int, int] = (1000, 2000),
    content: bytes = b"enough for a frame without padding",
) -> bytes:
    """A datagram of IPv4 or IPv6, with its checksums."""
    one, other = ip_address(sender), ip_address(receiver)
    length = 8 + len(content)
    pseudo = one.packed + other.packed + struct.pack("!II", length, 17)
    datagram = struct.pack("!HHHH", *ports, length, 0) + content
    datagram = datagram[:6] + struct.pack("!H", checksum(pseudo + datagram) or 0xFFFF) + datagram[8:]
    return packet(source, target, sender, receiver, 17, datagram)


def packet(
    source: str, target: str, sender: str, receiver: str, protocol: int, content: bytes, *, dscp: int = 0
) -> bytes:
    """A packet of IPv4 or IPv6 with anything in it."""
    one, other = ip_address(sender), ip_address(receiver)
    content = content.ljust(32, b"\0")  # so that frames need no padding, which bridges may take away
    if one.version == 6:
        head = struct.pack("!IHBB", 6 << 28 | dscp << 22, len(content), protocol, 64) + one.packed + other.packed
        return ethernet(source, target, 0x86DD, head + content)
    head = struct.pack("!BBHHHBBH", 0x45, dscp << 2, 20 + len(content), 1, 0, 64, protocol, 0)
    head += one.packed + other.packed
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return ethernet(source, target, 0x0800, head + content)


def tcp(flags: int, *, ports: tuple[int, int] = (1000, 2000), options: bytes = b"") -> bytes:
    """The header of a segment; nobody looks at its checksum."""
    options = options.ljust(-(-len(options) // 4) * 4, b"\1")
    return struct.pack("!HHIIBBHHH", *ports, 1, 1, 5 + len(options) // 4 << 4, flags, 100, 0, 0) + options


def dhcp(kind: int, client: str, *, given: str = "0.0.0.0", own: str = "0.0.0.0", seconds: int = 600) -> bytes:
    """A message of DHCP: 1 asks for servers, 5 gives an address for some time, 7 gives it back."""
    head = struct.pack("!BBBBIHH", 2 if kind in (2, 5) else 1, 1, 6, 0, 7, 0, 0)
    head += ip_address(own).packed + ip_address(given).packed + bytes(8) + mac(client).ljust(16, b"\0") + bytes(192)
    return head + bytes((99, 130, 83, 99, 53, 1, kind, 51, 4)) + struct.pack("!I", seconds) + b"\xff"


def checksum(data: bytes) -> int:
    """That of the Internet (RFC 1071)."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
