"""Finding what ``parse`` would ignore: attributes and elements that no class declares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import islice

from lxml import etree

from vmherd.errors import DocumentError
from vmherd.util.xmlmodel.declared import Field, declared
from vmherd.util.xmlmodel.document import DEFAULT_LIMITS, Limits, load
from vmherd.util.xmlmodel.faults import MOST, line_of, place_of
from vmherd.util.xmlmodel.fields import Element, Kind
from vmherd.util.xmlmodel.scalars import SizeCodec

Classes = Sequence[type[Element]]
_IGNORED = "it would be ignored"
_LONGEST = 60  # characters of a name that are compared


def unknown(cls: type[Element], text: str | bytes, *, limits: Limits = DEFAULT_LIMITS) -> list[DocumentError]:
    """An error, not raised, for each attribute and element of ``text`` that ``parse`` would ignore, to a hundred.

    Where several classes share a tag, what any of them declares is known.  Raises as parse does.
    """
    return list(islice(_strays(load(text, limits), [cls]), MOST))


def _strays(node: etree._Element, classes: Classes) -> Iterator[DocumentError]:
    fields = [each for cls in classes for each in declared(cls)]
    attributes = {each.xml for each in fields if each.kind is Kind.ATTR}
    attributes |= {cls.__xml__.when[0] for cls in classes if cls.__xml__.when}
    if any(isinstance(each.codec, SizeCodec) and each.kind is not Kind.LEAF for each in fields):
        attributes.add("unit")
    yield from _stray_attributes(node, attributes)
    for child in node:
        yield from _stray_child(child, fields)


def _stray_attributes(node: etree._Element, known: set[str]) -> Iterator[DocumentError]:
    for name in map(str, node.attrib):
        if name not in known:
            yield _stray(node, "attribute", f"/@{name}", _hint(name, known))


def _stray_child(node: etree._Element, fields: list[Field], within: str = "") -> Iterator[DocumentError]:
    holders = [each for each in fields if each.spec.within == within and node.tag in _tags(each)]
    wrapped = [each for each in fields if each.spec.within == node.tag and not within]
    classes = [cls for each in holders for cls in each.classes if each.tag_of(cls) == node.tag]
    if wrapped:
        for inner in node:
            yield from _stray_child(inner, wrapped, node.tag)
    elif classes:
        yield from _strays(node, list(dict.fromkeys(classes)))
    elif not holders:
        yield _stray(node, "element", "", _hint(str(node.tag), _children_of(fields, within)))
    elif holders[0].kind is not Kind.RAW:
        yield from _stray_attributes(node, {"unit"} if isinstance(holders[0].codec, SizeCodec) else set())


def _stray(node: etree._Element, what: str, suffix: str, hint: str) -> DocumentError:
    place = place_of(node) + suffix
    return DocumentError(f"this {what} is not known here", place=place, line=line_of(node), hint=hint)


def _hint(name: str, known: set[str]) -> str:
    near = get_close_matches(name[:_LONGEST], known, 1)
    return f"{_IGNORED}: did you mean {near[0]!r}?" if near else f"{_IGNORED}: look for a typing mistake, or remove it"


def _children_of(fields: list[Field], within: str) -> set[str]:
    """The tags that may stand in an element, or in its wrapper ``within``."""
    inside = {tag for each in fields if each.spec.within == within for tag in _tags(each)}
    return inside if within else inside | {each.spec.within for each in fields if each.spec.within}


def _tags(each: Field) -> set[str]:
    if each.kind in (Kind.ATTR, Kind.TEXT):
        return set()
    return {each.tag_of(cls) for cls in each.classes} or {each.xml}
