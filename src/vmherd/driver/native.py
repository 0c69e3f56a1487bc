"""Configuration in the words of a hypervisor: command lines and files that documents are made from, and made into.

A format is an entry point of the group ``vmherd.native``, named like the format, so that each stands beside its
hypervisor.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from vmherd.errors import InvalidArgument

if TYPE_CHECKING:
    from vmherd.conf.domain import Domain

GROUP = "vmherd.native"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A document as it stands in the foreign words, not completed; ``ignored`` tells what could not be taken over."""

    domain: Domain
    ignored: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class NativeFormat:
    """``write`` gives the text for a document, as this host would run it; ``read`` the other way.

    Where one of them is None, ``why_not`` tells what to do in its place.
    """

    write: Callable[[Domain], Coroutine[None, None, str]] | None = None
    read: Callable[[str], Reading] | None = None
    why_not: str = ""


def names() -> list[str]:
    """Every format that is installed; none is imported."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def load(name: str) -> NativeFormat:
    """Import a format.  Raises InvalidArgument if there is none of that name."""
    point = next(iter(entry_points(group=GROUP, name=name)), None)
    if point is None:
        raise InvalidArgument(f"there is no format {name!r}", hint=f"there are: {', '.join(names())}")
    found = point.load()
    assert isinstance(found, NativeFormat)
    return found
