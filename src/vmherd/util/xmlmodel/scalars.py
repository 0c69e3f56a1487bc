"""Value types of attributes and texts: each is a small codec between text and a Python value."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Annotated, Any

from msgspec import Meta

MAX_CPUS = 16384  # VIR_DOMAIN_CPUMASK_LEN
_remembered = lru_cache(maxsize=1024)  # documents repeat few numbers, in addresses above all
_SHOWN = 60  # characters of a bad value that an error message repeats


class BadValue(ValueError):
    """A text that is no value of its type.  ``hint`` says how to write one, or is empty."""

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.hint = hint


@dataclass(frozen=True)
class Codec:
    """How one type of value is read and written.

    ``parse`` raises ValueError (or BadValue, to add a hint) with a message that repeats the text and says
    what was expected.  ``safe`` promises that ``format`` never gives a character that XML wants escaped.
    """

    parse: Callable[[str], Any]
    format: Callable[[Any], str] = str
    safe: bool = True


@dataclass(frozen=True)
class SizeCodec:
    """Bytes, told in a ``unit`` attribute of the same element and written in ``unit``.

    Text without a unit attribute counts in ``unit`` too.  Sizes are rounded up to whole ``unit``s when read,
    as libvirt rounds memory up to whole KiB; more than ``limit`` bytes are refused.  A ``natural`` size is kept to
    the byte and written in the largest unit that it is a whole number of.
    """

    unit: str = "KiB"
    limit: int = 2**63 - 1
    natural: bool = False
    safe = True

    def parse(self, text: str, unit: str | None) -> int:
        size = _digits(text) * scale(unit or self.unit)
        step = 1 if self.natural else scale(self.unit)
        size = -(-size // step) * step
        if size > self.limit:
            raise ValueError(f"{shown(text)} {unit or self.unit} is more than {self.limit} bytes")
        return size

    def format(self, size: int) -> str:
        return str(-(-size // scale(self.unit_of(size))))

    def unit_of(self, size: int) -> str:
        """The unit that ``size`` is written in."""
        if not self.natural:
            return self.unit
        return next((unit for unit in _NATURAL if size and size % scale(unit) == 0), "B")


_NATURAL = ("EiB", "PiB", "TiB", "GiB", "MiB", "KiB")


def shown(text: str) -> str:
    """``text`` quoted for an error message, cut when it is long."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def scale(unit: str) -> int:
    """How many bytes ``unit`` is, by the rules of libvirt's virScaleInteger: KB is 1000, K and KiB 1024."""
    try:
        return _SCALES[unit.lower()]
    except KeyError:
        raise BadValue(f"{shown(unit)} is not a unit of size", "units are bytes, KiB, MiB, ... EiB, KB, MB") from None


def _scales() -> dict[str, int]:
    table = {"b": 1, "byte": 1, "bytes": 1}
    for power, letter in enumerate("kmgtpe", start=1):
        table |= {letter: 1024**power, letter + "ib": 1024**power, letter + "b": 1000**power}
    return table


_SCALES = _scales()


def _digits(text: str) -> int:
    # int() alone would take "１２", "1_000" and " 7"; and a million digits, slowly.
    if text.isdigit() and text.isascii() and len(text) <= 40:
        return int(text)
    raise ValueError(f"{shown(text)} is not a whole number")


def whole(low: int, high: int) -> Codec:
    """A decimal number between ``low`` and ``high``."""

    @_remembered
    def parse(text: str) -> int:
        number = -_digits(text[1:]) if low < 0 and text[:1] == "-" else _digits(text)
        if low <= number <= high:
            return number
        raise ValueError(f"{shown(text)} is not between {low} and {high}")

    return Codec(parse)


def hexadecimal(digits: int, high: int = 2**64 - 1) -> Codec:
    """A number written as 0x and at least ``digits`` digits; read as C does: 0x10, 020 and 16 are equal."""

    @_remembered
    def parse(text: str) -> int:
        if not _C_NUMBER.fullmatch(text):
            raise BadValue(f"{shown(text)} is not a number", "write it like 0x1f or 31")
        number = int(text, 0 if text[:2] in ("0x", "0X") else 8 if text[0] == "0" else 10)
        if number > high:
            raise ValueError(f"{shown(text)} is more than {high:#x}")
        return number

    return Codec(parse, _remembered(f"0x{{:0{digits}x}}".format))


_C_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,32}|0[0-7]{0,32}|[1-9][0-9]{0,32}", re.ASCII)


def words(yes: str, no: str) -> Codec:
    """A truth value written as one of two words."""

    def parse(text: str) -> bool:
        if text == yes:
            return True
        if text == no:
            return False
        raise ValueError(f"{shown(text)} is neither {yes!r} nor {no!r}")

    return Codec(parse, lambda value: yes if value else no)


@cache
def enumerated(enum: type[StrEnum]) -> Codec:
    """One of the values of ``enum``."""
    table = {member.value: member for member in enum}

    def parse(text: str) -> StrEnum:
        try:
            return table[text]
        except KeyError:
            near = difflib.get_close_matches(text[:_SHOWN], table, 1)
            hint = f"did you mean {near[0]!r}?" if near else ""
            raise BadValue(f"{shown(text)} is not one of: {', '.join(table)}", hint) from None

    return Codec(parse, str, safe=not any(re.search("[&<>'\"\x00-\x1f]", value) for value in table))


def _parse_float(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a number")
    return float(text)


_FLOAT = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?", re.ASCII)


def parse_mac(text: str) -> str:
    if not _MAC.fullmatch(text):
        raise BadValue(f"{shown(text)} is not a MAC address", "write it like 52:54:00:12:34:56")
    return ":".join(pair.zfill(2) for pair in text.lower().split(":"))


_MAC = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}")


def _parse_uuid(text: str) -> str:
    if not _UUID.fullmatch(text):
        raise BadValue(f"{shown(text)} is not a UUID", "write 32 hexadecimal digits: 8-4-4-4-12")
    digits = text.replace("-", "").lower()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


_UUID = re.compile(r"(?:-?[0-9a-fA-F]){32}")


def parse_cpus(text: str) -> tuple[int, ...]:
    """``0-3,^2,8`` as sorted numbers below MAX_CPUS; ValueError when it is something else, or leaves none."""
    chosen = parse_numbers(text, MAX_CPUS)
    if not chosen:
        raise ValueError(f"{shown(text)} leaves no CPU")
    return tuple(sorted(chosen))


def parse_numbers(text: str, size: int) -> set[int]:
    """``0-3,^2,8`` as numbers below ``size``; ValueError when it is something else.

    Parts count from left to right: ``^2`` takes out what came before, and a later 2 puts it back.
    """
    chosen: set[int] = set()
    for part in text.split(","):
        match = _CPUS.fullmatch(part.strip(" \t\r\n"))
        if not match:
            raise BadValue(f"{shown(text)} is not a set of CPUs", "write it like 0-3,^2,8")
        first = int(match["first"])
        last = int(match["last"] or first)
        if last < first or last >= size:
            raise ValueError(f"{shown(text)} has a range that falls, or a number above {size - 1}")
        if match["not"]:
            chosen.discard(first)
        else:
            chosen.update(range(first, last + 1))
    return chosen


_CPUS = re.compile(r"(?P<not>\^)?(?P<first>[0-9]{1,9})(?(not)|(?:-(?P<last>[0-9]{1,9}))?)")


def format_cpus(cpus: Iterable[int]) -> str:
    """CPU numbers as libvirt writes them: rising, runs as ``first-last``, never ``^``."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


Int = Annotated[int, whole(-(2**31), 2**31 - 1), Meta(ge=-(2**31), le=2**31 - 1)]
UInt = Annotated[int, whole(0, 2**32 - 1), Meta(ge=0, le=2**32 - 1)]
Long = Annotated[int, whole(-(2**63), 2**63 - 1)]
ULong = Annotated[int, whole(0, 2**64 - 1), Meta(ge=0)]
Hex = Annotated[int, hexadecimal(1), Meta(ge=0)]
Hex2 = Annotated[int, hexadecimal(2), Meta(ge=0)]
Hex4 = Annotated[int, hexadecimal(4), Meta(ge=0)]
Hex6 = Annotated[int, hexadecimal(6), Meta(ge=0)]
Hex8 = Annotated[int, hexadecimal(8), Meta(ge=0)]
Switch = Annotated[bool, words("on", "off")]
YesNo = Annotated[bool, words("yes", "no")]
Size = Annotated[int, SizeCodec("KiB"), Meta(ge=0)]
NaturalSize = Annotated[int, SizeCodec("KiB", natural=True), Meta(ge=0)]
SizeInBytes = Annotated[int, SizeCodec("bytes"), Meta(ge=0)]
Mac = Annotated[str, Codec(parse_mac)]
Uuid = Annotated[str, Codec(_parse_uuid)]
CpuSet = Annotated[tuple[int, ...], Codec(parse_cpus, format_cpus)]

TEXT = Codec(str, str, safe=False)
BUILTIN = {
    str: TEXT,
    int: whole(-(2**63), 2**63 - 1),
    float: Codec(_parse_float, repr),
}
