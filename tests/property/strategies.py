"""Hypothesis strategies made from what documents declare, so that a new element is tried without a line here."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from importlib import import_module
from typing import Any, TypeVar, get_args, get_type_hints

from corpus import DOMAINS
from hypothesis import reject
from hypothesis import strategies as st

import vmherd.conf
from vmherd.conf.domain import Devices, Domain, parse_domain, render
from vmherd.util.xmlmodel import Codec, Element, Field, Kind, SizeCodec, declared
from vmherd.util.xmlmodel.scalars import TEXT

E = TypeVar("E", bound=Element)

#: Optional fields that one element has at most; more only make the examples larger.
_SOME = 7
#: How deep elements nest below the one that is made; deeper ones have only what they must have.
_DEPTH = 3


def model_classes() -> list[type[Element]]:
    """Every class of ``vmherd.conf`` that stands for an element."""
    modules = [import_module(each.name) for each in pkgutil.walk_packages(vmherd.conf.__path__, "vmherd.conf.")]
    found = {
        each
        for module in modules
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Element) and each.__xml__.tag
    }
    ours = [each for each in found if each.__module__.startswith("vmherd.conf.")]
    return sorted(ours, key=lambda each: (each.__module__, each.__name__))


_NOT_IN_XML = re.compile("[\ufffe\uffff]")

#: Any text that a document can hold.
words = st.text(
    st.characters(codec="utf-8", categories=None, exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\r\n"),
    max_size=12,
).filter(lambda text: not _NOT_IN_XML.search(text))

_octets = st.integers(0, 255).map("{:02x}".format)

#: A text by which a codec is told, and those that are like it.
_FAMILIES: tuple[tuple[str, st.SearchStrategy[str]], ...] = (
    ("7", st.integers(0, 20).map(str)),
    ("-1", st.integers(-20, -1).map(str)),
    *((str(high), st.integers(0, high).map(str)) for high in (2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1)),
    *((hex(high), st.integers(0, high).map(hex)) for high in (0xFF, 2**32 - 1, 2**64 - 1)),
    ("1", st.sampled_from(["0", "1"])),
    ("yes", st.sampled_from(["yes", "no"])),
    ("on", st.sampled_from(["on", "off"])),
    ("52:54:00:12:34:56", st.lists(_octets, min_size=6, max_size=6).map(":".join)),
    ("6a3d2f54-97a1-4ab4-8ac5-2f8f3c1c55a1", st.uuids().map(str)),
    ("0-3,^2", st.sets(st.integers(0, 300), min_size=1, max_size=5).map(lambda cpus: ",".join(map(str, cpus)))),
    ("2.10", st.tuples(_octets, _octets).map(".".join)),
    ("$IP[@1]", st.integers(0, 1000).map("$IP[@{}]".format)),
    ("10.1.2.3", st.ip_addresses(v=4).map(str)),
    ("ff::1", st.ip_addresses(v=6).map(str)),
    ("ipv4-x", st.sampled_from(["ipv4-x", "root", "stp"])),
    ("any-word", words),
)


def _takes(codec: Codec | SizeCodec, text: str) -> bool:
    try:
        _read(codec, text)
    except ValueError:
        return False
    return True


def _read(codec: Codec | SizeCodec, text: str) -> Any:
    return codec.parse(text, None) if isinstance(codec, SizeCodec) else codec.parse(text)


def _values(cls: type[Element], field: Field) -> st.SearchStrategy[Any]:
    """Values of an attribute or text: what its codec makes of texts that it takes."""
    if enum := _enum(get_type_hints(cls)[field.name]):
        return st.sampled_from(list(enum))
    codec = field.codec
    assert codec is not None
    if codec is TEXT:  # an empty text and none are the same, once they are written
        return words.filter(bool) if field.kind is Kind.TEXT and field.optional else words
    families = [family for probe, family in _FAMILIES if _takes(codec, probe)]
    assert families, f"{cls.__name__}.{field.name}: add a family of texts that its codec takes"
    return st.one_of(families).filter(lambda text: _takes(codec, text)).map(lambda text: _read(codec, text))


def _enum(hint: Any) -> type[StrEnum] | None:
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    return next((found for each in get_args(hint) if (found := _enum(each))), None)


def _kept(tag: str) -> st.SearchStrategy[str]:
    """An element kept as text, laid out as it is written."""
    inside = ["", "text", "<a/>", "<x:a xmlns:x='urn:x'>t</x:a>"]
    return st.sampled_from([f"<{tag}>{each}</{tag}>" if each else f"<{tag}/>" for each in inside]).map(_laid_out)


def _laid_out(text: str) -> str:
    from lxml import etree

    return etree.tostring(etree.fromstring(text), encoding="unicode", pretty_print=True).rstrip("\n")


@cache
def _scalars(cls: type[Element], name: str) -> st.SearchStrategy[Any]:
    (field,) = (each for each in declared(cls) if each.name == name)
    return _values(cls, field)


@st.composite
def elements(draw: st.DrawFn, cls: type[E], depth: int = _DEPTH) -> E:
    """A ``cls`` with what it must have and some of what it may have."""
    fields = declared(cls)
    optional = [each.name for each in fields if not each.required]
    chosen = draw(st.sets(st.sampled_from(optional), max_size=_SOME)) if optional and depth > 0 else set()
    values: dict[str, Any] = {}
    for field in fields:
        if field.required or field.name in chosen:
            values[field.name] = draw(_value(cls, field, values, depth))
    try:
        return cls(**values)
    except ValueError:  # a combination that the class refuses
        reject()


def _value(cls: type[Element], field: Field, values: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    match field.kind:
        case Kind.FLAG:
            return st.just(True)
        case Kind.RAW:
            return _kept(field.xml)
        case Kind.VARIANT:
            return _variant(cls, field, values, depth)
        case Kind.CHILD | Kind.CHILDREN:
            one = st.one_of([elements(each, depth - 1) for each in field.classes])
        case _:
            one = _scalars(cls, field.name)
    return st.lists(one, min_size=1, max_size=2) if field.many else one


def _variant(cls: type[Element], field: Field, values: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    """The child that goes with the value of the element's own attribute."""
    (chooser,) = (each for each in declared(cls) if each.xml == field.spec.discriminator)
    found = field.spec.cases.get(values.get(chooser.name, chooser.default))
    return st.none() if found is None else elements(found, depth - 1)


def places(classes: list[type[Element]]) -> Iterator[str]:
    """Names for tests, one for each class."""
    return (f"{each.__module__.removeprefix('vmherd.conf.')}.{each.__name__}" for each in classes)


@st.composite
def guests(draw: st.DrawFn) -> str:
    """One of the good domain documents, with some devices more and some other parts in place of its own."""
    domain = parse_domain(draw(st.sampled_from(DOMAINS)))
    domain = domain.replace(**_parts(draw, Domain, 2))
    for name, value in _parts(draw, Devices, 3).items():
        old = getattr(domain.devices, name)
        setattr(domain.devices, name, [*old, *value] if isinstance(old, list) else value)
    return render(domain, secure=True)


def _parts(draw: st.DrawFn, cls: type[Element], most: int) -> dict[str, Any]:
    fields = {each.name: each for each in declared(cls) if each.classes and Devices not in each.classes}
    names = draw(st.sets(st.sampled_from(list(fields)), max_size=most))
    return {name: draw(_value(cls, fields[name], {}, _DEPTH)) for name in sorted(names)}
