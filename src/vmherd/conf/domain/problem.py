"""A complaint about a document, and what rules share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from vmherd.errors import DocumentError

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Problem:
    """One complaint: where, what is wrong, and what to do about it."""

    place: str
    text: str
    hint: str = ""


def refuse(found: Sequence[Problem], root: str, error: type[DocumentError] = DocumentError) -> None:
    """Raise one ``error`` that lists all problems ``found`` below ``root``; return if there is none."""
    if not found:
        return
    parts = [error(each.text, place=each.place, hint=each.hint) for each in found]
    if len(parts) == 1:
        raise parts[0]
    lines = "".join(f"\n  {each.place}: {each.text}" for each in found)
    hints = "; ".join(dict.fromkeys(each.hint for each in found if each.hint))
    raise error(f"{len(found)} problems:{lines}", place=root, hint=hints, parts=parts)


def numbered(items: Sequence[T]) -> Iterator[tuple[int, T]]:
    """The items with their place among elements of the same name, counted from 1."""
    return enumerate(items, start=1)


def duplicates(
    items: Sequence[tuple[str, K]], text: str, hint: str = "", show: Callable[[K], str] = repr
) -> Iterator[Problem]:
    """A problem for each item whose key an earlier one has; ``text`` shows the key at ``{}``."""
    seen: set[K] = set()
    for place, key in items:
        if key in seen:
            yield Problem(place, text.format(show(key)), hint)
        seen.add(key)
