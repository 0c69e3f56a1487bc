"""Makes one parsing function per Element class, as Python source that looks up no declaration when it runs.

The function for ``class DiskTarget(Element, tag="target")`` with ``dev: str`` and ``bus: DiskBus | None`` is:

    def parse(node):
        get = node.get
        v = get('dev')
        if v is None:
            raise missing(node, '@dev')
        f_dev = v
        v = get('bus')
        if v is None:
            f_bus = None
        else:
            try:
                f_bus = read_bus(v)
            except ValueError as problem:
                raise fault(node, 'bus', problem) from None
        return make(dev=f_dev, bus=f_bus)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from lxml import etree

from vmherd.util.xmlmodel.declared import Field, declared
from vmherd.util.xmlmodel.faults import another, fault, missing, unmatched
from vmherd.util.xmlmodel.fields import Element, Kind
from vmherd.util.xmlmodel.scalars import TEXT, SizeCodec

Parser = Callable[[etree._Element], Any]
Children = dict[str, list[etree._Element]]

_READY: dict[type[Element], Parser] = {}
_FEW = 6  # up to here asking lxml for each attribute beats fetching all of them
_NONE: Children = {}


def parser_of(cls: type[Element]) -> Parser:
    """The function that makes a ``cls`` from an lxml element, compiled at its first use."""
    ready = _READY.get(cls)
    if ready is None:
        writing = _Source(cls)
        exec(compile(writing.text(), f"<parser of {cls.__qualname__}>", "exec"), writing.scope)  # noqa: S102
        ready = _READY[cls] = writing.scope["parse"]
    return ready


def group(node: etree._Element) -> Children:
    """The children of ``node`` by tag."""
    if not len(node):
        return _NONE
    found: Children = {}
    for child in node:
        tag = child.tag
        if tag in found:
            found[tag].append(child)
        else:
            found[tag] = [child]
    return found


def verbatim(node: etree._Element) -> str:
    """``node`` as text, laid out in two-space steps; namespace declarations it uses go along."""
    alone = deepcopy(node)  # drops those of its ancestors that it does not use
    alone.tail = None
    return etree.tostring(alone, encoding="unicode", pretty_print=True).rstrip("\n")


def _bind(cls: type[Element], table: dict[Any, Any], key: Any) -> None:
    """Make ``table[key]`` the parser of ``cls``, compiled when first called: few documents use every one."""

    def parse(node: etree._Element) -> Any:
        table[key] = parser_of(cls)
        return table[key](node)

    table[key] = parse


def _bind_children(each: Field, scope: dict[str, Any]) -> None:
    """Put what parses the children of a field in ``scope``: parse_NAME if all share a tag, else by_NAME."""
    if each.kind is Kind.VARIANT:
        scope["tag_" + each.name] = {value: each.tag_of(cls) for value, cls in each.spec.cases.items()}
        scope["by_" + each.name] = by_value = dict[str, Parser]()
        for value, cls in each.spec.cases.items():
            _bind(cls, by_value, value)
        return
    by_tag: dict[str, list[type[Element]]] = {}
    for cls in each.classes:
        by_tag.setdefault(each.tag_of(cls), []).append(cls)
    table = scope if len(by_tag) == 1 else scope.setdefault("by_" + each.name, {})
    for tag, classes in by_tag.items():
        key = "parse_" + each.name if len(by_tag) == 1 else tag
        if len(classes) == 1 and classes[0].__xml__.when is None:
            _bind(classes[0], table, key)
        else:
            table[key] = _chooser(classes)


def _chooser(classes: list[type[Element]]) -> Parser:
    """A parser for classes that share a tag: told apart by ``when``, one without it takes what is left."""
    attribute = next(cls.__xml__.when[0] for cls in classes if cls.__xml__.when)
    cases: dict[str | None, Parser] = {}
    for cls in classes:
        _bind(cls, cases, cls.__xml__.when[1] if cls.__xml__.when else None)

    def parse(node: etree._Element) -> Any:
        value = node.get(attribute)
        chosen = cases.get(value) or cases.get(None)
        if chosen is None:
            raise unmatched(node, attribute, [case for case in cases if case])
        return chosen(node)

    return parse


class _Source:
    """The source text of one parser and the names it uses."""

    def __init__(self, cls: type[Element]) -> None:
        self.cls = cls
        self.scope: dict[str, Any] = {"make": cls, "missing": missing, "fault": fault, "another": another}
        self.scope |= {"group": group, "verbatim": verbatim}

    def text(self) -> str:
        return "def parse(node):\n" + "".join(f"    {line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        fields = declared(self.cls)
        attributes = sum((each.kind is Kind.ATTR) + isinstance(each.codec, SizeCodec) for each in fields)
        if attributes:
            yield "get = node.get" if attributes <= _FEW else "get = dict(node.items()).get"
        if any(each.kind not in (Kind.ATTR, Kind.TEXT) for each in fields):
            yield "found = group(node)"
        for each in fields:
            if each.codec:
                self.scope["read_" + each.name] = each.codec.parse
            if not each.required:
                self.scope["default_" + each.name] = each.default
            _bind_children(each, self.scope)
            yield from getattr(self, "_" + each.kind)(each)
        made = "make(" + ", ".join(f"{each.name}=f_{each.name}" for each in fields) + ")"
        if hasattr(self.cls, "__post_init__"):
            yield from ("try:", f"    return {made}", "except ValueError as problem:")
            yield "    raise fault(node, '', problem) from None"
        else:
            yield f"return {made}"

    def _absent(self, each: Field, what: str) -> str:
        if each.required:
            return f"raise missing(node, {what!r})"
        if each.default is None or isinstance(each.default, bool):
            return f"f_{each.name} = {each.default}"
        return f"f_{each.name} = default_{each.name}" + ("()" if each.factory else "")

    def _attr(self, each: Field) -> Iterator[str]:
        yield f"v = get({each.xml!r})"
        yield from ("if v is None:", "    " + self._absent(each, "@" + each.xml), "else:")
        yield from _indented(self._read(each, f"f_{each.name} = ", "v", "node", each.xml))

    def _text(self, each: Field) -> Iterator[str]:
        yield "v = node.text"
        if each.codec is TEXT and each.required:
            yield f"f_{each.name} = v or ''"
            return
        yield from ("if v is None:", "    " + self._absent(each, "text"), "else:")
        yield from _indented(self._read(each, f"f_{each.name} = ", "v", "node"))

    def _leaf(self, each: Field) -> Iterator[str]:
        if each.many:
            yield f"f_{each.name} = []"
            yield f"for c in {self._list(each)}:"
            yield from _indented(self._read(each, f"f_{each.name} += ", "c.text or ''", "c"))
            return
        yield f"c = found.get({each.xml!r})"
        yield from ("if c is None:", "    " + self._absent(each, f"<{each.xml}>"), "else:", "    c = c[0]")
        yield from _indented(self._read(each, f"f_{each.name} = ", "c.text or ''", "c"))

    def _read(self, each: Field, target: str, source: str, node: str, attribute: str = "") -> Iterator[str]:
        """Lines that convert the text ``source`` found in ``node``."""
        left, right = ("(", ",)") if each.many else ("", "")
        if each.codec is TEXT:
            yield f"{target}{left}{source}{right}"
            return
        trimmed = source if attribute else f"({source}).strip(' \\t\\r\\n')"
        unit = f", {node}.get('unit')" if isinstance(each.codec, SizeCodec) else ""
        yield from ("try:", f"    {target}{left}read_{each.name}({trimmed}{unit}){right}")
        yield "except ValueError as problem:"
        yield f"    raise fault({node}, {attribute!r}, problem) from None"

    def _flag(self, each: Field) -> Iterator[str]:
        yield f"f_{each.name} = {each.xml!r} in found"

    def _raw(self, each: Field) -> Iterator[str]:
        yield f"c = found.get({each.xml!r})"
        yield from ("if c is None:", "    " + self._absent(each, f"<{each.xml}>"), "else:")
        yield f"    f_{each.name} = verbatim(c[0])"

    def _child(self, each: Field) -> Iterator[str]:
        word = "if"
        tags = list(dict.fromkeys(each.tag_of(cls) for cls in each.classes))
        for tag in tags:
            parse = f"parse_{each.name}" if len(tags) == 1 else f"by_{each.name}[{tag!r}]"
            yield f"{word} {tag!r} in found:"
            yield f"    f_{each.name} = {parse}(found[{tag!r}][0])"
            if each.spec.alone:
                yield f"    if len(found[{tag!r}]) > 1: raise another(found[{tag!r}][1])"
            word = "elif"
        yield from ("else:", "    " + self._absent(each, " or ".join(f"<{tag}>" for tag in tags)))

    def _children(self, each: Field) -> Iterator[str]:
        tags = {each.tag_of(cls) for cls in each.classes}
        if len(tags) == 1:
            yield f"f_{each.name} = [parse_{each.name}(c) for c in {self._list(each)}]"
            return
        source = "node" if not each.spec.within else f"found.get({each.spec.within!r}, ((),))[0]"
        yield f"f_{each.name} = [by_{each.name}[c.tag](c) for c in {source} if c.tag in by_{each.name}]"

    def _list(self, each: Field) -> str:
        """An expression for all children of the field's tag, inside the wrapper if there is one."""
        if not each.spec.within:
            return f"found.get({each.xml!r}, ())"
        return f"group(found.get({each.spec.within!r}, ((),))[0]).get({each.xml!r}, ())"

    def _variant(self, each: Field) -> Iterator[str]:
        chosen = next(other for other in declared(self.cls) if other.xml == each.spec.discriminator)
        yield f"c = tag_{each.name}.get(f_{chosen.name})"
        yield f"if c in found: f_{each.name} = by_{each.name}[f_{chosen.name}](found[c][0])"
        yield f"else: {self._absent(each, f'<{each.xml}>')}"


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)
