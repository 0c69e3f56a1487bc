"""Makes one writing function per Element class, as Python source, in the layout and escaping of libvirt.

The function for ``class DiskTarget(Element, tag="target")`` with ``dev: str`` and ``bus: DiskBus | None`` is:

    def write(v, out, pad):
        attrs = ''
        x = v.dev
        attrs += " dev='" + (x if x.isalnum() else escape_value(x)) + "'"
        x = v.bus
        if x is not None:
            attrs += " bus='" + format_bus(x) + "'"
        out.append(pad + '<target' + attrs + '/>\\n')
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from lxml import etree

from vmherd.util.xmlmodel.declared import Field, declared
from vmherd.util.xmlmodel.fields import Element, Kind, markup
from vmherd.util.xmlmodel.scalars import TEXT, BadValue, SizeCodec


class Output(list[str]):
    """The pieces of a document, and the namespaces (URI by prefix) that its elements used."""

    __slots__ = ("namespaces",)

    def __init__(self) -> None:
        super().__init__()
        self.namespaces: dict[str, str] = {}


Writer = Callable[[Any, Output, str], None]
Key = tuple[type[Element], str]  # a class, and the tag to write it with

_READY: dict[Key, Writer] = {}


def writer_of(cls: type[Element], tag: str = "") -> Writer:
    """The function that appends a ``cls`` to an Output at an indent, compiled at its first use."""
    key = (cls, tag or cls.__xml__.tag)
    ready = _READY.get(key)
    if ready is None:
        writing = _Source(*key)
        exec(compile(writing.text(), f"<writer of {cls.__qualname__}>", "exec"), writing.scope)  # noqa: S102
        ready = _READY[key] = writing.scope["write"]
    return ready


_SPECIAL = re.compile("[&<>'\"\r\n\t\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;", "\r": "&#13;"}
_IN_TEXT = str.maketrans(_ENTITIES)
_IN_VALUE = str.maketrans(_ENTITIES | {"\n": "&#10;", "\t": "&#9;"})


def escape_text(text: str) -> str:
    """``text`` as an element holds it; BadValue for a character that XML cannot hold."""
    return text if not _SPECIAL.search(text) else _translate(text, _IN_TEXT)


def escape_value(text: str) -> str:
    """``text`` as a quoted attribute holds it; BadValue for a character that XML cannot hold."""
    return text if not _SPECIAL.search(text) else _translate(text, _IN_VALUE)


def _translate(text: str, table: dict[int, str]) -> str:
    if bad := _REFUSED.search(text):
        raise BadValue(f"the character U+{ord(bad[0]):04X} cannot stand in a document", "remove it")
    return text.translate(table)


def raw_lines(text: str, tag: str, pad: str) -> str:
    """The raw element ``text`` laid out at an indent; BadValue if it is not one well-formed element ``tag``.

    libxml2 does the layout, so text inside is left alone: the element is wrapped as deep as the indent asks.
    """
    depth = len(pad) // 2
    try:
        alone = etree.fromstring(text.encode(), _PLAIN)
        wrapped = etree.fromstring(f"{'<a>' * depth}{text}{'</a>' * depth}".encode(), _PLAIN)
    except (etree.XMLSyntaxError, UnicodeEncodeError) as error:
        raise BadValue(f"the text kept for <{tag}> is not well formed: {error}") from None
    if alone.tag != tag or alone.getroottree().docinfo.internalDTD is not None:
        raise BadValue(f"the text kept for <{tag}> is not just a <{tag}> element")
    lines = etree.tostring(wrapped, encoding="unicode", pretty_print=True).split("\n")
    return "\n".join(lines[depth : len(lines) - 1 - depth]) + "\n"


_PLAIN = etree.XMLParser(
    encoding="utf-8",
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    remove_comments=True,
    remove_pis=True,
    remove_blank_text=True,
)


def _bind(cls: type[Element], tag: str, table: dict[Any, Any], key: Any) -> None:
    """Make ``table[key]`` the writer of ``cls``, compiled when it is first called."""

    def write(element: Any, out: Output, pad: str) -> None:
        table[key] = writer_of(cls, tag)
        table[key](element, out, pad)

    table[key] = write


def _bind_children(each: Field, scope: dict[str, Any]) -> None:
    """Put what writes the children of a field in ``scope``: write_NAME, or by_NAME for several classes."""
    if len(each.classes) == 1:
        _bind(each.classes[0], each.spec.xml, scope, "write_" + each.name)
    elif each.classes:
        scope["by_" + each.name] = table = dict[type, Writer]()
        for cls in each.classes:
            _bind(cls, each.spec.xml, table, cls)


class _Source:
    """The source text of one writer and the names it uses."""

    def __init__(self, cls: type[Element], tag: str) -> None:
        self.shape = cls.__xml__
        self.tag = markup(tag, cls.__xml__.prefix)
        self.fields = declared(cls)
        self.scope: dict[str, Any] = {"escape_text": escape_text, "escape_value": escape_value}
        self.scope["raw_lines"] = raw_lines

    def text(self) -> str:
        return "def write(v, out, pad):\n" + "".join(f"    {line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        for each in self.fields:
            self.scope["format_" + each.name] = each.codec and each.codec.format
            self.scope["default_" + each.name] = each.default
            _bind_children(each, self.scope)
        if self.shape.prefix:
            yield f"out.namespaces[{self.shape.prefix!r}] = {self.shape.namespace!r}"
        yield "attrs = " + repr("" if self.shape.when is None else " {}='{}'".format(*self.shape.when))
        for each in self.fields:
            if each.kind is Kind.ATTR:
                yield from self._guarded(each, f"attrs += {self._quoted(each)}{self._unit(each)}")
            elif each.kind is Kind.TEXT and isinstance(each.codec, SizeCodec):
                yield from self._guarded(each, f"attrs += {self._unit(each)[3:]}")
        yield from self._body([each for each in self.fields if each.kind is not Kind.ATTR])

    def _body(self, fields: list[Field]) -> Iterator[str]:
        if not fields:
            yield f"out.append(pad + '<{self.tag}' + attrs + '/>\\n')"
        elif fields[0].kind is Kind.TEXT:
            yield "end = '/>\\n'"
            ending = f"end = '>' + {self._escaped(fields[0])} + '</{self.tag}>\\n'"
            yield from self._guarded(fields[0], ending)
            yield f"out.append(pad + '<{self.tag}' + attrs + end)"
        else:
            yield from ("start = len(out)", "out.append('')", "inner = pad + '  '")
            for each in fields:
                yield from getattr(self, "_" + each.kind)(each)
            yield "if len(out) == start + 1:"
            yield f"    out[start] = pad + '<{self.tag}' + attrs + '/>\\n'"
            yield "else:"
            yield f"    out[start] = pad + '<{self.tag}' + attrs + '>\\n'"
            yield f"    out.append(pad + '</{self.tag}>\\n')"

    def _guarded(self, each: Field, *lines: str) -> Iterator[str]:
        """``lines`` under the condition that the value ``x`` is there and wants to be written."""
        yield f"x = v.{each.name}"
        tests = []
        if each.optional or each.default is None:
            tests.append("x is not None")
        if not each.required and each.default is not None and not each.spec.always:
            tests.append(f"x != default_{each.name}" + ("()" if each.factory else ""))
        if tests:
            yield f"if {' and '.join(tests)}:"
        for line in lines:
            yield "    " + line if tests else line

    def _quoted(self, each: Field) -> str:
        return f'" {each.xml}=\'" + {self._escaped(each)} + "\'"'

    def _unit(self, each: Field) -> str:
        if not isinstance(each.codec, SizeCodec):
            return ""
        if not each.codec.natural:
            return f" + \" unit='{each.codec.unit}'\""
        self.scope["unit_" + each.name] = each.codec.unit_of
        return f' + " unit=\'" + unit_{each.name}(x) + "\'"'

    def _escaped(self, each: Field) -> str:
        """An expression for the value ``x`` as it stands in the document."""
        escape = "escape_value" if each.kind is Kind.ATTR else "escape_text"
        if each.codec is TEXT:
            return f"(x if x.isalnum() else {escape}(x))"
        formatted = f"format_{each.name}(x)"
        return formatted if each.codec is None or each.codec.safe else f"{escape}({formatted})"

    def _leaf(self, each: Field) -> Iterator[str]:
        unit = f"'{self._unit(each)} + '" if isinstance(each.codec, SizeCodec) else ""
        write = f"out.append({{pad}} + '<{each.xml}{unit}>' + {self._escaped(each)} + '</{each.xml}>\\n')"
        if each.many:
            yield from self._wrapped(each, lambda pad: write.format(pad=pad))
        else:
            yield from self._guarded(each, write.format(pad="inner"))

    def _flag(self, each: Field) -> Iterator[str]:
        yield f"if v.{each.name}: out.append(inner + '<{each.xml}/>\\n')"

    def _raw(self, each: Field) -> Iterator[str]:
        yield from self._guarded(each, f"out.append(raw_lines(x, {each.xml!r}, inner))")

    def _call(self, each: Field, pad: str) -> str:
        write = f"write_{each.name}" if len(each.classes) == 1 else f"by_{each.name}[type(x)]"
        return f"{write}(x, out, {pad})"

    def _child(self, each: Field) -> Iterator[str]:
        yield from self._guarded(each, self._call(each, "inner"))

    _variant = _child

    def _children(self, each: Field) -> Iterator[str]:
        yield from self._wrapped(each, lambda pad: self._call(each, pad))

    def _wrapped(self, each: Field, write: Callable[[str], str]) -> Iterator[str]:
        within = each.spec.within
        if not within:
            yield from (f"for x in v.{each.name}:", "    " + write("inner"))
            return
        yield from (f"if v.{each.name}:", f"    out.append(inner + '<{within}>\\n')")
        yield from (f"    for x in v.{each.name}:", "        " + write("inner + '  '"))
        yield f"    out.append(inner + '</{within}>\\n')"
