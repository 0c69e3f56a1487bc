"""Sets of small numbers, such as CPUs and NUMA nodes, as bits in bytes and hexadecimal digits."""

from __future__ import annotations

from collections.abc import Iterable


def to_bytes(numbers: Iterable[int], size: int = 0) -> bytes:
    """The bytes with those bits set, the lowest bit first; room for ``size`` bits at least."""
    mask = _mask(numbers)
    return mask.to_bytes(max((size + 7) // 8, (mask.bit_length() + 7) // 8), "little")


def from_bytes(data: bytes) -> set[int]:
    """The numbers whose bits are set."""
    mask = int.from_bytes(data, "little")
    return {number for number in range(mask.bit_length()) if mask >> number & 1}


def to_hex(numbers: Iterable[int]) -> str:
    """Hexadecimal digits as /proc and cgroups write masks: the highest bit first."""
    return f"{_mask(numbers):x}"


def from_hex(text: str) -> set[int]:
    """The numbers of a mask in hexadecimal; ValueError for other text."""
    mask = int(text or "0", 16)
    return {number for number in range(mask.bit_length()) if mask >> number & 1}


def _mask(numbers: Iterable[int]) -> int:
    mask = 0
    for number in numbers:
        mask |= 1 << number
    return mask
