"""A socket that sees the frames of one device which may tell of addresses, before any filter drops them."""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import NamedTuple

from vmherd.errors import HostError

_ALL_FRAMES = 3  # ETH_P_ALL
_OUTGOING = 4  # PACKET_OUTGOING: to the guest, as the host sees it
_ATTACH_FILTER = 26  # SO_ATTACH_FILTER
_LENGTH = 1024  # of a frame: DHCP's options fit

# Classic BPF (linux/bpf_common.h): load halfword, load byte, load halfword at the IP header's end, and its length.
_LDH, _LDB, _LDH_X, _LDX_HEADER = 0x28, 0x30, 0x48, 0xB1
_EQUAL, _ANY_BIT, _RETURN = 0x15, 0x45, 0x06


class _Step(NamedTuple):
    """One instruction: operation, how many to skip if it holds and if not, and its operand."""

    code: int
    holds: int
    fails: int
    operand: int


#: Every frame of ARP and IPv4.
_ADDRESSED = (
    _Step(_LDH, 0, 0, 12),
    _Step(_EQUAL, 1, 0, 0x0806),
    _Step(_EQUAL, 0, 1, 0x0800),
    _Step(_RETURN, 0, 0, _LENGTH),
    _Step(_RETURN, 0, 0, 0),
)
#: UDP between the ports of DHCP.
_DHCP = (
    _Step(_LDH, 0, 0, 12),
    _Step(_EQUAL, 0, 11, 0x0800),
    _Step(_LDB, 0, 0, 23),
    _Step(_EQUAL, 0, 9, 17),
    _Step(_LDH, 0, 0, 20),
    _Step(_ANY_BIT, 7, 0, 0x1FFF),
    _Step(_LDX_HEADER, 0, 0, 14),
    _Step(_LDH_X, 0, 0, 14),
    _Step(_EQUAL, 1, 0, 67),
    _Step(_EQUAL, 0, 3, 68),
    _Step(_LDH_X, 0, 0, 16),
    _Step(_EQUAL, 2, 0, 67),
    _Step(_EQUAL, 1, 0, 68),
    _Step(_RETURN, 0, 0, 0),
    _Step(_RETURN, 0, 0, _LENGTH),
)


class Sniffer:
    """Raises HostError where a device cannot be listened to."""

    def __init__(self, device: str, *, dhcp_only: bool) -> None:
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        except PermissionError:
            raise HostError("addresses of guests cannot be learned", hint="this needs root") from None
        try:
            _attach(self._socket, _DHCP if dhcp_only else _ADDRESSED)
            self._socket.bind((device, _ALL_FRAMES))
        except OSError as problem:
            self._socket.close()
            raise HostError(f"cannot listen to {device}: {problem.strerror}") from None

    def fileno(self) -> int:
        return self._socket.fileno()

    def frames(self, most: int) -> list[tuple[bytes, bool]]:
        """Up to ``most`` frames that wait, and whether the guest sent each."""
        found = []
        for _ in range(most):
            try:
                frame, where = self._socket.recvfrom(_LENGTH)
            except OSError:  # there is none, or the device is down or gone, which is found out elsewhere
                break
            found.append((frame, where[2] != _OUTGOING))
        return found

    def close(self) -> None:
        self._socket.close()


def _attach(sniffing: socket.socket, program: tuple[_Step, ...]) -> None:
    steps = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    sniffing.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(steps)))
