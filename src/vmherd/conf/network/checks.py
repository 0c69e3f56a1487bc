"""Asking every element of a document whether its parts go together: those that can tell have a method ``check``."""

from __future__ import annotations

from collections.abc import Callable

from vmherd.errors import DocumentError
from vmherd.util.xmlmodel import Element, declared


def check_all(element: Element, place: str) -> None:
    """Check everything below ``element``, then itself; its place is told by the first that refuses."""
    for field in declared(type(element)):
        value = getattr(element, field.name)
        several = isinstance(value, list) and len(value) > 1
        for number, each in enumerate(value if isinstance(value, list) else [value], start=1):
            if isinstance(each, Element):
                check_all(each, f"{place}/{field.tag_of(type(each))}" + (f"[{number}]" if several else ""))
    check = getattr(element, "check", None)
    if check:
        located(place, check)


def located(place: str, check: Callable[[], None]) -> None:
    """Do ``check``; a ValueError becomes a DocumentError about ``place``."""
    try:
        check()
    except ValueError as problem:
        raise DocumentError(str(problem), place=place) from None
