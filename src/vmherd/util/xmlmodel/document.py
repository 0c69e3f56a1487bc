"""Whole documents: text in, text out, with limits on what comes in."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from lxml import etree

from vmherd.errors import DocumentError, XMLSyntaxError
from vmherd.util.xmlmodel.declared import declared
from vmherd.util.xmlmodel.faults import line_of, too_deep
from vmherd.util.xmlmodel.fields import Element, Kind
from vmherd.util.xmlmodel.parser import parser_of
from vmherd.util.xmlmodel.writer import Output, escape_text, raw_lines, writer_of

E = TypeVar("E", bound=Element)


@dataclass(frozen=True)
class Limits:
    """The most a document may have.  Elements nest at most 256 deep, which is libxml2's own limit.

    ``size`` is in bytes of UTF-8, ``attributes`` counts those of one element.
    """

    size: int = 8 * 1024 * 1024
    elements: int = 200_000
    attributes: int = 1000


DEFAULT_LIMITS = Limits()
_ENCODINGS = {"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252", "utf-16", "utf-16-le", "utf-16-be"}
_DECLARED = re.compile(rb"""\s*<\?xml\s[^>]{0,80}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_SHORTEST_ATTRIBUTE = len(" a=''")
_SHORTEST_ELEMENT = len("<a/>")

_PARSER = etree.XMLParser(
    encoding="utf-8",
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    dtd_validation=False,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
    remove_blank_text=True,
    collect_ids=False,
)


def parse(cls: type[E], text: str | bytes, *, limits: Limits = DEFAULT_LIMITS) -> E:
    """Read a document or fragment whose root is a ``cls``.

    Unknown elements and attributes are ignored.  Raises XMLSyntaxError when ``text`` is not well formed or
    goes beyond ``limits``, DocumentError with place and line when it is not a ``cls``.
    """
    root = load(text, limits)
    if root.tag != cls.__xml__.tag:
        raise _wrong_root(root, [cls])
    return _made(cls, root)


def parse_any(classes: Sequence[type[E]], text: str | bytes, *, limits: Limits = DEFAULT_LIMITS) -> E:
    """Read a fragment that is one of ``classes`` by its tag, such as any device.  Raises as parse does."""
    root = load(text, limits)
    for cls in classes:
        when = cls.__xml__.when
        if root.tag == cls.__xml__.tag and (when is None or root.get(when[0]) == when[1]):
            return _made(cls, root)
    raise _wrong_root(root, classes)


def render(element: Element, indent: int = 0) -> str:
    """``element`` as libvirt would write it, indented by ``indent`` blanks, ending in a newline.

    Raises DocumentError for a value that no document can hold, such as a control character.
    """
    out = Output()
    try:
        writer_of(type(element))(element, out, " " * indent)
    except ValueError as problem:
        raise _unwritable(element, problem) from None
    except RecursionError:
        raise too_deep(type(element)) from None
    if out.namespaces:
        declarations = "".join(f" xmlns:{prefix}='{uri}'" for prefix, uri in out.namespaces.items())
        tag, end, rest = out[0].partition("/>" if out[0].endswith("/>\n") else ">")  # a value has no bare >
        out[0] = tag + declarations + end + rest
    return "".join(out)


def _made(cls: type[E], root: etree._Element) -> E:
    try:
        made: E = parser_of(cls)(root)
    except RecursionError:
        raise too_deep(cls) from None
    return made


def _wrong_root(root: etree._Element, classes: Sequence[type[Element]]) -> DocumentError:
    wanted = " or ".join(dict.fromkeys(f"<{cls.__xml__.markup}>" for cls in classes))
    return DocumentError(f"this is a <{root.tag}>, not a {wanted}", place=str(root.tag), line=line_of(root))


def load(text: str | bytes, limits: Limits = DEFAULT_LIMITS) -> etree._Element:
    """The root element of ``text``, free of entities and within ``limits``."""
    data = _utf8(text)
    _refuse_large(data, limits)
    try:
        root = etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError as error:
        problem = re.sub(r", line \d+, column \d+( \(.*\))?$", "", error.msg or "this is no XML document")
        raise XMLSyntaxError(problem, line=error.lineno or 0) from None
    if b"<!DOCTYPE" in data and root.getroottree().docinfo.internalDTD is not None:
        raise XMLSyntaxError("a document type (<!DOCTYPE>) is not accepted", hint="remove it")
    if len(data) > limits.attributes * _SHORTEST_ATTRIBUTE:
        _refuse_crowded(root, limits)
    return root


def _utf8(text: str | bytes) -> bytes:
    """``text`` as UTF-8 without byte order mark, whatever encoding it declares."""
    try:
        if isinstance(text, str):
            return text.removeprefix("\ufeff").encode()
        if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return text.decode("utf-16").encode()
        declared_encoding = _DECLARED.match(text)
        if declared_encoding is None:
            return text.removeprefix(codecs.BOM_UTF8)
        name = codecs.lookup(declared_encoding[1].decode()).name
        if name not in _ENCODINGS:
            raise LookupError(name)
        return text if name in ("utf-8", "ascii") else text.decode(name).encode()
    except UnicodeError as error:
        raise XMLSyntaxError(f"the text cannot be decoded: {error}") from None
    except LookupError:
        raise XMLSyntaxError("the declared encoding is not supported", hint="save it as UTF-8") from None


def _refuse_large(data: bytes, limits: Limits) -> None:
    """Refuse before reading what can be seen to be too much: comments count as elements here."""
    if len(data) > limits.size:
        raise XMLSyntaxError(f"the document has {len(data)} bytes, more than {limits.size}")
    if len(data) <= limits.elements * _SHORTEST_ELEMENT:
        return
    if data.count(b"<") - data.count(b"</") > limits.elements:
        raise XMLSyntaxError(f"the document has more than {limits.elements} elements")


def _refuse_crowded(root: etree._Element, limits: Limits) -> None:
    for node in root.iter():
        if len(node.attrib) > limits.attributes:
            problem = f"<{node.tag}> has more than {limits.attributes} attributes"
            raise XMLSyntaxError(problem, line=line_of(node))


def _unwritable(element: Element, problem: ValueError) -> DocumentError:
    """The error of a failed render, with the place found by trying every text."""
    for place, text, tag in _texts(element, element.__xml__.markup):
        try:
            raw_lines(text, tag, "  ") if tag else escape_text(text)
        except ValueError as found:
            return DocumentError(str(found), place=place)
    return DocumentError(str(problem), place=element.__xml__.markup)


def _texts(element: Element, place: str) -> Iterator[tuple[str, str, str]]:
    """Every str below ``element``: its place, itself, and the tag if it is a raw element."""
    for each in declared(type(element)):
        value: Any = getattr(element, each.name)
        mark = "@" if each.kind is Kind.ATTR else ""
        below = place if each.kind is Kind.TEXT else f"{place}/{mark}{each.xml}"
        values = value if isinstance(value, list) else [value]
        for number, item in enumerate(values, start=1):
            here = f"{below}[{number}]" if len(values) > 1 else below
            if isinstance(item, Element):
                yield from _texts(item, here)
            elif isinstance(item, str):
                yield here, item, each.xml if each.kind is Kind.RAW else ""
