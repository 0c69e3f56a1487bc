"""Everything that is wrong with the values of a document, where ``parse`` stops at the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from lxml import etree

from vmherd.errors import DocumentError
from vmherd.util.xmlmodel.declared import Field, declared
from vmherd.util.xmlmodel.document import DEFAULT_LIMITS, Limits, load
from vmherd.util.xmlmodel.faults import MOST, another, fault, missing, too_deep, unmatched
from vmherd.util.xmlmodel.fields import Element, Kind
from vmherd.util.xmlmodel.parser import Children, group, parser_of
from vmherd.util.xmlmodel.scalars import TEXT, SizeCodec

Found = Iterator[DocumentError]


def complaints(cls: type[Element], text: str | bytes, *, limits: Limits = DEFAULT_LIMITS) -> list[DocumentError]:
    """An error, not raised, for each place of ``text`` where ``parse`` would stop, from top to bottom, to a hundred.

    Raises XMLSyntaxError as parse does, and DocumentError for what is nested too deeply.  The root is taken for a
    ``cls``, whatever its tag is.
    """
    root = load(text, limits)
    try:
        return sorted(islice(_element(root, cls), MOST), key=lambda each: each.line)
    except RecursionError:
        raise too_deep(cls) from None


def _element(node: etree._Element, cls: type[Element]) -> Found:
    children = group(node)
    clean = True
    for field in declared(cls):
        for each in _CHECKS[field.kind](node, children, field, cls):
            clean = False
            yield each
    if clean and hasattr(cls, "__post_init__"):
        try:
            parser_of(cls)(node)
        except DocumentError as refused:
            yield refused


def _attr(node: etree._Element, _: Children, field: Field, __: type[Element]) -> Found:
    value = node.get(field.xml)
    if value is not None:
        yield from _value(node, value, field, field.xml)
    elif field.required:
        yield missing(node, "@" + field.xml)


def _text(node: etree._Element, _: Children, field: Field, __: type[Element]) -> Found:
    if node.text is not None:
        yield from _value(node, node.text.strip(" \t\r\n"), field)
    elif field.required and field.codec is not TEXT:  # a plain text may be empty
        yield missing(node, "text")


def _value(node: etree._Element, value: str, field: Field, attribute: str = "") -> Found:
    assert field.codec is not None
    try:
        if isinstance(field.codec, SizeCodec):
            field.codec.parse(value, node.get("unit"))
        else:
            field.codec.parse(value)
    except ValueError as problem:
        yield fault(node, attribute, problem)


def _inside(children: Children, field: Field) -> Children:
    """The children among which a field looks for its own: those of the wrapper, if it has one."""
    within = field.spec.within
    if not within:
        return children
    return group(children[within][0]) if within in children else {}


def _leaf(node: etree._Element, children: Children, field: Field, _: type[Element]) -> Found:
    leaves = _inside(children, field).get(field.xml, [])
    if not leaves and field.required:
        yield missing(node, f"<{field.xml}>")
    for each in leaves if field.many else leaves[:1]:
        yield from _value(each, (each.text or "").strip(" \t\r\n"), field)


def _flag(*_: object) -> Found:
    return iter(())


def _raw(node: etree._Element, children: Children, field: Field, _: type[Element]) -> Found:
    if field.required and field.xml not in children:
        yield missing(node, f"<{field.xml}>")


def _child(node: etree._Element, children: Children, field: Field, _: type[Element]) -> Found:
    tags = list(dict.fromkeys(map(field.tag_of, field.classes)))
    present = next((tag for tag in tags if tag in children), None)
    if present is not None:
        first, *others = children[present]
        yield from _one_of(first, [each for each in field.classes if field.tag_of(each) == present])
        if field.spec.alone:
            yield from map(another, others)
    elif field.required:
        yield missing(node, " or ".join(f"<{tag}>" for tag in tags))


def _children(_: etree._Element, children: Children, field: Field, __: type[Element]) -> Found:
    inside = _inside(children, field)
    for tag in dict.fromkeys(map(field.tag_of, field.classes)):
        for each in inside.get(tag, []):
            yield from _one_of(each, [cls for cls in field.classes if field.tag_of(cls) == tag])


def _one_of(node: etree._Element, classes: Sequence[type[Element]]) -> Found:
    """Of classes that share a tag, the one whose attribute says so; one that names none takes what is left."""
    whens = {cls.__xml__.when: cls for cls in classes}
    attribute = next((when[0] for when in whens if when), "")
    value = node.get(attribute) if attribute else None
    chosen = whens.get((attribute, value)) if value is not None else None
    chosen = chosen or whens.get(None)
    if chosen is None:
        yield unmatched(node, attribute, [when[1] for when in whens if when])
    else:
        yield from _element(node, chosen)


def _variant(node: etree._Element, children: Children, field: Field, cls: type[Element]) -> Found:
    """The child that goes with an attribute of the element; a bad value of that one is told already."""
    (chooser,) = (each for each in declared(cls) if each.xml == field.spec.discriminator)
    value = node.get(chooser.xml)
    found = field.spec.cases.get(chooser.default if value is None else value)
    if found is not None and field.tag_of(found) in children:
        yield from _element(children[field.tag_of(found)][0], found)
    elif field.required and not list(_attr(node, children, chooser, cls)):
        yield missing(node, f"<{field.xml}>")


_CHECKS: dict[Kind, Callable[[etree._Element, Children, Field, type[Element]], Found]] = {
    Kind.ATTR: _attr,
    Kind.TEXT: _text,
    Kind.LEAF: _leaf,
    Kind.FLAG: _flag,
    Kind.CHILD: _child,
    Kind.CHILDREN: _children,
    Kind.VARIANT: _variant,
    Kind.RAW: _raw,
}
