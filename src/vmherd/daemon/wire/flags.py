"""The bits that callers may set: none that is not known is ignored."""

from __future__ import annotations

from typing import NamedTuple

from vmherd.errors import InvalidArgument


class DomainRef(NamedTuple):
    """How the protocol names a domain; ``id`` is -1 for one that does not run."""

    name: str
    uuid: str
    id: int


def only(flags: int, known: int) -> None:
    """Raise InvalidArgument for bits beyond ``known``, in libvirt's words (virCheckFlags)."""
    if flags & ~known:
        raise InvalidArgument(f"unsupported flags (0x{flags & ~known:x})")


def not_both(flags: int, one: int, other: int, names: tuple[str, str]) -> None:
    """Raise InvalidArgument where two bits exclude each other."""
    if flags & one and flags & other:
        raise InvalidArgument(f"flags {names[0]!r} and {names[1]!r} are mutually exclusive")
