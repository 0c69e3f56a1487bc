"""Messages: a header, then what it announces.  Their ends are found in a stream of bytes and descriptors.

Every message begins with its own length.  One that carries file descriptors has their number before its content, and
is followed by one byte for each, with which the descriptor travels (virNetMessage in libvirt).
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from vmherd.rpc.xdr import BadMessage

#: The largest message there may be, in bytes, its length included (VIR_NET_MESSAGE_MAX and that of the length).
LARGEST = 33554432 + 4
#: The most descriptors that a message may carry (VIR_NET_MESSAGE_NUM_FDS_MAX).
MOST_FDS = 32

KEEPALIVE_PROGRAM = 0x6B656570
KEEPALIVE_VERSION = 1
PING, PONG = 1, 2


class Type(IntEnum):
    """virNetMessageType."""

    CALL = 0
    REPLY = 1
    EVENT = 2
    STREAM = 3
    CALL_WITH_FDS = 4
    REPLY_WITH_FDS = 5
    STREAM_HOLE = 6


class Status(IntEnum):
    """virNetMessageStatus."""

    OK = 0
    ERROR = 1
    CONTINUE = 2


class Header(NamedTuple):
    """What stands before the content of each message."""

    program: int
    version: int
    procedure: int
    type: int
    serial: int
    status: int


class Packet(NamedTuple):
    """A whole message; ``fds`` are the receiver's to close."""

    header: Header
    body: bytes
    fds: Sequence[int] = ()


_LAYOUT = struct.Struct(">IIIiIIi")
_LENGTH = struct.Struct(">I")
_WITH_FDS = (Type.CALL_WITH_FDS, Type.REPLY_WITH_FDS)
_pack = _LAYOUT.pack


def pack(header: Header, body: bytes = b"") -> bytes:
    """The bytes of a message.  Raises BadMessage if it is too large to be sent."""
    length = _LAYOUT.size + len(body)
    if length > LARGEST:
        raise _too_large(length)
    return _pack(length, *header) + body


def _too_large(length: int) -> BadMessage:
    return BadMessage(f"a message of {length} bytes, {LARGEST} are allowed", hint="ask for less at once")


def reply(call: Header, body: bytes) -> bytes:
    """The bytes of the good answer to a call.  Raises BadMessage if it is too large to be sent."""
    program, version, procedure, _, serial, _ = call
    length = _LAYOUT.size + len(body)
    if length > LARGEST:
        raise _too_large(length)
    return _pack(length, program, version, procedure, Type.REPLY, serial, Status.OK) + body


def pack_with_fds(header: Header, body: bytes, fds: Sequence[int]) -> bytes:
    """As ``pack``, for a message that the channel sends ``fds`` after."""
    return pack(header, _LENGTH.pack(len(fds)) + body)


class Unpacker:
    """Finds messages in what comes in.  ``largest`` may be changed at any time and counts for what follows."""

    def __init__(self, largest: int = LARGEST) -> None:
        self.largest = largest
        self._data = b""
        self._parts: list[bytes] = []
        self._missing = 0
        self._fds: deque[int] = deque()

    def feed(self, data: bytes, fds: Sequence[int] = ()) -> Iterator[Packet]:
        """The messages that are complete now.

        Raises BadMessage where no message can be like this; there is no way on after it.
        """
        self._fds.extend(fds)
        if len(self._fds) > MOST_FDS:
            raise BadMessage("too many file descriptors")
        if self._missing > len(data):
            # Not joined before the message is complete: large ones come in many pieces.
            self._parts.append(data)
            self._missing -= len(data)
            return
        if self._data:
            data = b"".join((self._data, *self._parts, data))
            self._parts.clear()
            self._missing = 0
        at = 0
        while (found := self._next(data, at)) is not None:
            packet, at = found
            yield packet
        self._data = data[at:] if at else data

    def _next(self, data: bytes, at: int) -> tuple[Packet, int] | None:
        """The message at ``at`` and where it ends, None while it is not complete."""
        have = len(data) - at
        if have < 4:
            return None
        (length,) = _LENGTH.unpack_from(data, at)
        if not _LAYOUT.size <= length <= self.largest:
            raise BadMessage(f"a message of {length} bytes, {_LAYOUT.size} to {self.largest} are allowed")
        if have < length:
            self._missing = length - have
            return None
        header = Header._make(_LAYOUT.unpack_from(data, at)[1:])
        begin, end = at + _LAYOUT.size, at + length
        if header.type not in _WITH_FDS:
            return Packet(header, data[begin:end]), end
        return self._with_fds(header, data, begin, end)

    def _with_fds(self, header: Header, data: bytes, begin: int, end: int) -> tuple[Packet, int] | None:
        if end - begin < 4:
            raise BadMessage("a message with file descriptors that does not say how many")
        (count,) = _LENGTH.unpack_from(data, begin)
        if count > MOST_FDS:
            raise BadMessage(f"a message with {count} file descriptors, {MOST_FDS} are allowed")
        if len(data) - end < count:
            self._missing = count - (len(data) - end)
            return None
        if len(self._fds) < count:
            raise BadMessage("a message that announces file descriptors and comes without")
        fds = [self._fds.popleft() for _ in range(count)]
        return Packet(header, data[begin + 4 : end], fds), end + count

    def close(self) -> None:
        """Drop what is incomplete, and the descriptors nobody took."""
        self._data, self._missing = b"", 0
        self._parts.clear()
        while self._fds:
            with contextlib.suppress(OSError):
                os.close(self._fds.popleft())
