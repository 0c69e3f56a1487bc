"""Which fields a set of documents uses, against those their classes declare: an unused one is one nobody has tried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from inspect import get_annotations

from vmherd.util.xmlmodel import Element, declared


def untried(cls: type[Element], documents: Iterable[Element], elsewhere: str = "-") -> set[str]:
    """Fields of ``cls`` and all below it that no document sets, as ``Class.field``.

    Classes from modules that begin with ``elsewhere`` are left out.
    """
    used = {pair for document in documents for pair in _used(document)}
    return {f"{owner.__name__}.{name}" for owner, name in _declared(cls, elsewhere, set()) - used}


def _used(element: Element) -> Iterator[tuple[type[Element], str]]:
    for each in declared(type(element)):
        value = getattr(element, each.name)
        if each.spec.always or value != (each.default() if each.factory else each.default):
            yield _owner(type(element), each.name), each.name
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Element):
                yield from _used(item)


def _declared(cls: type[Element], elsewhere: str, seen: set[type[Element]]) -> set[tuple[type[Element], str]]:
    if cls in seen or cls.__module__.startswith(elsewhere):
        return set()
    seen.add(cls)
    found = {(_owner(cls, each.name), each.name) for each in declared(cls)}
    return found.union(*(_declared(child, elsewhere, seen) for each in declared(cls) for child in each.classes))


def _owner(cls: type[Element], name: str) -> type[Element]:
    """The class that declares the field, which others inherit."""
    return next(base for base in reversed(cls.__mro__) if name in get_annotations(base))
