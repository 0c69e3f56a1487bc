"""XDR: values to bytes and back (RFC 4506).

A codec is made once from a type's description and then only calls what it is made of.  What is read is checked
against the type's limits and against what is really there, before anything is made of it.
"""

from __future__ import annotations

import struct
from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import lru_cache
from keyword import iskeyword
from typing import Any, NamedTuple

from vmherd.errors import VmherdError

#: Returns the value, and where the next one begins.
Decode = Callable[[bytes, int], tuple[Any, int]]
Encode = Callable[[Any], bytes]


class BadMessage(VmherdError):
    """Bytes that are not what their type says."""

    code = 39  # VIR_ERR_RPC


class Codec(NamedTuple):
    """How values of one type are written and read; ``format`` is the struct format of one of fixed size, or ""."""

    encode: Encode
    decode: Decode
    format: str = ""


class TypedParam(NamedTuple):
    """A parameter with its type, one of virTypedParameterType."""

    name: str
    type: int
    value: int | float | str


INT, UINT, LLONG, ULLONG, DOUBLE, BOOLEAN, STRING = range(1, 8)


def scalar(letter: str) -> Codec:
    """A number; the letter is that of the struct module."""
    packer = struct.Struct(">" + letter)
    size, unpack = packer.size, packer.unpack_from

    def decode(data: bytes, at: int) -> tuple[Any, int]:
        try:
            return unpack(data, at)[0], at + size
        except struct.error:
            raise _ends_early() from None

    return Codec(packer.pack, decode, letter)


_count = struct.Struct(">I")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


def _ends_early() -> BadMessage:
    return BadMessage("the message ends in the middle of a value")


def _block(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    """``size`` bytes and where the padding after them ends."""
    end = at + size
    beyond = end + (-size & 3)
    if beyond > len(data):
        raise _ends_early()
    return data[at:end], beyond


def _length(data: bytes, at: int, most: int) -> tuple[int, int]:
    try:
        size = _count.unpack_from(data, at)[0]
    except struct.error:
        raise _ends_early() from None
    if size > most:
        raise BadMessage(f"the message has {size} of something of which {most} are allowed")
    return size, at + 4


def opaque(size: int) -> Codec:
    """Exactly ``size`` bytes."""

    def encode(value: bytes) -> bytes:
        if len(value) != size:
            raise BadMessage(f"{len(value)} bytes where there must be {size}")
        return value + _PADDING[size & 3]

    return Codec(encode, lambda data, at: _block(data, at, size), f"{size}s" if size % 4 == 0 else "")


def variable_opaque(most: int) -> Codec:
    """Up to ``most`` bytes."""

    def encode(value: bytes) -> bytes:
        if len(value) > most:
            raise BadMessage(f"{len(value)} bytes where {most} are allowed")
        return _count.pack(len(value)) + value + _PADDING[len(value) & 3]

    def decode(data: bytes, at: int) -> tuple[bytes, int]:
        size, at = _length(data, at, most)
        return _block(data, at, size)

    return Codec(encode, decode)


def text(most: int) -> Codec:
    """Text of up to ``most`` bytes in UTF-8, without NUL."""
    raw = variable_opaque(most)

    def decode(data: bytes, at: int) -> tuple[str, int]:
        content, at = raw.decode(data, at)
        if b"\0" in content:
            raise BadMessage("the message has text with a NUL character")
        try:
            return content.decode(), at
        except UnicodeDecodeError:
            raise BadMessage("the message has text that is not UTF-8") from None

    return Codec(lambda value: raw.encode(value.encode(errors="replace")), decode)


def padded_text(size: int) -> Codec:
    """``size`` characters, each of which takes four bytes in XDR; NULs fill the rest."""
    packer = struct.Struct(f">{size}i")

    def encode(value: str) -> bytes:
        letters = value.encode("ascii", "replace")[: size - 1]
        return packer.pack(*letters.ljust(size, b"\0"))

    def decode(data: bytes, at: int) -> tuple[str, int]:
        content, end = _block(data, at, packer.size)
        letters = bytes(number & 0x7F for number in packer.unpack(content))
        return letters.partition(b"\0")[0].decode("ascii"), end

    return Codec(encode, decode)


def _encode_uuid(value: str) -> bytes:
    return bytes.fromhex(value.replace("-", ""))


def _decode_uuid(data: bytes, at: int) -> tuple[str, int]:
    content, end = _block(data, at, 16)
    return _uuid_text(content), end


@lru_cache(4096)
def _uuid_text(content: bytes) -> str:
    digits = content.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


#: Sixteen bytes on the wire, the canonical text in the program.
UUID = Codec(_encode_uuid, _decode_uuid)


def array(item: Codec, most: int) -> Codec:
    """Up to ``most`` values of a type, as a list."""
    if item.format:
        return _array_of_numbers(item.format, most)

    def encode(values: Sequence[Any]) -> bytes:
        if len(values) > most:
            raise BadMessage(f"{len(values)} values where {most} are allowed")
        return _count.pack(len(values)) + b"".join(map(item.encode, values))

    def decode(data: bytes, at: int) -> tuple[list[Any], int]:
        size, at = _length(data, at, most)
        # A value takes four bytes at least: no list is begun that the message cannot fill.
        if size * 4 > len(data) - at:
            raise _ends_early()
        values, read = [], item.decode
        for _ in range(size):
            value, at = read(data, at)
            values.append(value)
        return values, at

    return Codec(encode, decode)


def _array_of_numbers(letter: str, most: int) -> Codec:
    width = struct.calcsize(">" + letter)

    def encode(values: Sequence[Any]) -> bytes:
        if len(values) > most:
            raise BadMessage(f"{len(values)} values where {most} are allowed")
        return struct.pack(f">I{len(values)}{letter}", len(values), *values)

    def decode(data: bytes, at: int) -> tuple[list[Any], int]:
        size, at = _length(data, at, most)
        content, end = _block(data, at, size * width)
        return list(struct.unpack(f">{size}{letter}", content)), end

    return Codec(encode, decode)


def optional(item: Codec) -> Codec:
    """A value, or None."""

    def encode(value: Any) -> bytes:
        return _NONE if value is None else _SOME + item.encode(value)

    def decode(data: bytes, at: int) -> tuple[Any, int]:
        present, at = _length(data, at, 1)
        return item.decode(data, at) if present else (None, at)

    return Codec(encode, decode)


_NONE, _SOME = _count.pack(0), _count.pack(1)


class Encoded(bytes):
    """What a structure was written as before; it may stand in place of its values where they are written again."""

    __slots__ = ()


def structure(name: str, fields: Sequence[tuple[str, Codec]]) -> Codec:
    """Several values as a tuple, by position and by name; numbers that follow each other are read at once."""
    names = [field + "_" if iskeyword(field) else field for field, _ in fields]
    kind: Any = namedtuple(name, names)  # type: ignore[misc]
    make = kind._make
    parts = _merged([codec for _, codec in fields])

    def encode(values: Sequence[Any]) -> bytes:
        if type(values) is Encoded:
            return values
        if len(values) != len(fields):
            raise BadMessage(f"{name} has {len(fields)} fields, and {len(values)} were given")
        return b"".join([part.encode(values[begin:end]) for begin, end, part in parts])

    def decode(data: bytes, at: int) -> tuple[Any, int]:
        values: list[Any] = []
        for _, _, part in parts:
            some, at = part.decode(data, at)
            values += some
        return make(values), at

    return Codec(encode, decode)


def _merged(codecs: Sequence[Codec]) -> list[tuple[int, int, Codec]]:
    """The fields from ``begin`` to ``end`` as one codec of a sequence each."""
    parts, begin = [], 0
    while begin < len(codecs):
        end = begin
        while end < len(codecs) and codecs[end].format:
            end += 1
        part = _row("".join(codec.format for codec in codecs[begin:end])) if end > begin else _single(codecs[begin])
        end = max(end, begin + 1)
        parts.append((begin, end, part))
        begin = end
    return parts


def _row(letters: str) -> Codec:
    packer = struct.Struct(">" + letters)
    size, unpack, pack = packer.size, packer.unpack_from, packer.pack

    def encode(values: Sequence[Any]) -> bytes:
        try:
            return pack(*values)
        except struct.error as problem:
            raise BadMessage(f"cannot send {values}: {problem}") from None

    def decode(data: bytes, at: int) -> tuple[Any, int]:
        try:
            return unpack(data, at), at + size
        except struct.error:
            raise _ends_early() from None

    return Codec(encode, decode)


def _single(codec: Codec) -> Codec:
    encode_one, decode_one = codec.encode, codec.decode

    def decode(data: bytes, at: int) -> tuple[Any, int]:
        value, at = decode_one(data, at)
        return (value,), at

    return Codec(lambda values: encode_one(values[0]), decode)


def typed_param(kinds: dict[int, Codec], name: Codec) -> Codec:
    """A TypedParam; ``kinds`` has the codec of each type."""

    def encode(param: TypedParam) -> bytes:
        field, kind, value = param
        return name.encode(field) + kinds[INT].encode(kind) + kinds[kind].encode(value)

    def decode(data: bytes, at: int) -> tuple[TypedParam, int]:
        field, at = name.decode(data, at)
        kind, at = kinds[INT].decode(data, at)
        if kind not in kinds:
            raise BadMessage(f"parameter {field!r} has the unknown type {kind}")
        value, at = kinds[kind].decode(data, at)
        return TypedParam(field, kind, value), at

    return Codec(encode, decode)


def remembered(codec: Codec, most: int = 16384) -> Codec:
    """A codec that remembers what it wrote: for small values that are sent again and again."""
    return codec._replace(encode=lru_cache(most)(codec.encode))
