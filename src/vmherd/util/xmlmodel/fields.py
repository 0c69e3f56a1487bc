"""Declaring a document: the Element base class and its field specifiers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar, Self, dataclass_transform, get_args, get_origin

import msgspec


class Kind(StrEnum):
    """Where a field lives in its element."""

    ATTR = auto()
    TEXT = auto()
    LEAF = auto()
    FLAG = auto()
    CHILD = auto()
    CHILDREN = auto()
    VARIANT = auto()
    RAW = auto()


class Missing(Enum):
    """Stands for "no default was given", since None is a good default."""

    MISSING = auto()


MISSING = Missing.MISSING


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What a field specifier was told; ``xml`` is the attribute or tag name, or "" for the obvious one."""

    kind: Kind
    xml: str = ""
    default: Any = MISSING
    always: bool = False
    last: bool = False
    alone: bool = False
    within: str = ""
    discriminator: str = ""
    cases: Mapping[str, type[Element]] = field(default_factory=dict)


def attr(name: str = "", *, default: Any = MISSING, always: bool = False, last: bool = False) -> Any:
    """An attribute.  A value equal to ``default`` is written only with ``always``.

    ``last`` writes it after the attributes of subclasses.
    """
    return Spec(kind=Kind.ATTR, xml=name, default=default, always=always, last=last)


def text(*, default: Any = MISSING, always: bool = False) -> Any:
    """The text of the element itself; such an element has no children."""
    return Spec(kind=Kind.TEXT, default=default, always=always)


def leaf(name: str = "", *, default: Any = MISSING, always: bool = False, within: str = "", last: bool = False) -> Any:
    """A child element that holds nothing but text; a list type takes every one of that name.

    ``within`` names an element wrapped around the list.  ``last`` writes it after the fields of subclasses.
    """
    return Spec(kind=Kind.LEAF, xml=name, default=default, always=always, within=within, last=last)


def flag(name: str = "", *, last: bool = False) -> Any:
    """A bool: the empty element is there, or it is not."""
    return Spec(kind=Kind.FLAG, xml=name, default=False, last=last)


def child(
    name: str = "", *, default: Any = MISSING, always: bool = False, last: bool = False, alone: bool = False
) -> Any:
    """One child element.  ``name`` replaces the tag of its class; ``default`` is a class or function to call.

    A union type takes whichever is there: by tag, or by the attribute that its classes name with ``when``.  Of
    several elements the first counts, unless it must be ``alone``.
    """
    return Spec(kind=Kind.CHILD, xml=name, default=default, always=always, last=last, alone=alone)


def children(name: str = "", *, within: str = "", last: bool = False) -> Any:
    """A list of child elements, in document order; ``within`` names an element wrapped around them."""
    return Spec(kind=Kind.CHILDREN, xml=name, within=within, last=last)


def variant(discriminator: str, cases: Mapping[str, type[Element]], *, last: bool = False) -> Any:
    """One child element whose class depends on the value of this element's own attribute ``discriminator``.

    That attribute must be declared before.  A value that is no case leaves the field None.
    """
    return Spec(kind=Kind.VARIANT, discriminator=discriminator, cases=cases, last=last)


def raw(name: str = "", *, last: bool = False) -> Any:
    """A child element kept as text, markup and namespaces included; ``str | None``."""
    return Spec(kind=Kind.RAW, xml=name, last=last)


def markup(tag: str, prefix: str) -> str:
    """A tag as it is written: ``qemu:arg`` for ``{http://...}arg``."""
    local = tag.rpartition("}")[2]
    return f"{prefix}:{local}" if prefix else local


@dataclass(frozen=True)
class Shape:
    """The class arguments of an Element and the specifiers it declared or inherited."""

    tag: str
    prefix: str
    when: tuple[str, str] | None
    specs: Mapping[str, Spec]

    @property
    def markup(self) -> str:
        """The tag as it is written."""
        return markup(self.tag, self.prefix)

    @property
    def namespace(self) -> str:
        """The namespace URI, or ""."""
        return self.tag[1:].partition("}")[0] if self.tag.startswith("{") else ""


def is_list(annotation: Any) -> bool:
    return annotation.startswith("list[") if isinstance(annotation, str) else get_origin(annotation) is list


def may_be_none(annotation: Any) -> bool:
    if isinstance(annotation, str):  # not resolvable yet: the class may name itself
        return re.search(r"\bNone\b", annotation) is not None
    return NoneType in get_args(annotation)


def _struct_default(spec: Spec, annotation: Any) -> Any:
    """The default msgspec gets to see: a value, a factory, or MISSING for a required field."""
    if spec.kind is Kind.CHILDREN or (spec.default is MISSING and is_list(annotation)):
        return msgspec.field(default_factory=list)
    if spec.default is MISSING:
        return None if may_be_none(annotation) else MISSING
    if spec.kind is Kind.CHILD and callable(spec.default):
        return msgspec.field(default_factory=spec.default)
    return spec.default


def _take_specs(class_name: str, namespace: dict[str, Any]) -> dict[str, Spec]:
    """Replace the specifiers in a class body by the defaults msgspec understands, and return them."""
    specs: dict[str, Spec] = {}
    for name, annotation in namespace.get("__annotations__", {}).items():
        if "ClassVar" in str(annotation):
            continue
        spec = namespace.pop(name, None)
        if not isinstance(spec, Spec):
            raise TypeError(f"{class_name}.{name}: say where it stands with attr(), leaf(), child(), ...")
        specs[name] = spec
        default = _struct_default(spec, annotation)
        if default is not MISSING:
            namespace[name] = default
    return specs


def _pair(mapping: Mapping[str, str] | None) -> tuple[str, str] | None:
    if not mapping:
        return None
    (pair,) = mapping.items()  # one attribute tells the classes apart
    return pair


class ElementMeta(msgspec.StructMeta):
    """Makes a class body with field specifiers into a msgspec.Struct and remembers the specifiers."""

    def __new__(
        mcls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        tag: str = "",
        prefix: str = "",
        when: Mapping[str, str] | None = None,
        json: Mapping[str, str] | None = None,
    ) -> ElementMeta:
        specs: dict[str, Spec] = {}
        inherited = [base.__xml__ for base in bases if isinstance(base, ElementMeta)]
        for shape in inherited:
            specs |= shape.specs
        specs |= _take_specs(name, namespace)
        if not tag and inherited:
            tag, prefix = inherited[0].tag, inherited[0].prefix
        namespace["__xml__"] = Shape(tag, prefix, _pair(when), specs)
        field_name, value = _pair(when) or _pair(json) or (None, None)
        return super().__new__(
            mcls,
            name,
            bases,
            namespace,
            kw_only=True,
            gc=False,  # documents are trees: counting references frees them, the collector need not walk them
            omit_defaults=True,
            tag_field=field_name,
            tag=value,
        )

    if TYPE_CHECKING:
        __xml__: Shape


@dataclass_transform(kw_only_default=True)
class Element(msgspec.Struct, metaclass=ElementMeta):
    """Base of every document class.  The class arguments:

    ``tag``     the element's name, ``{namespace}name`` with ``prefix`` if it has a namespace;
    ``when``    ``{"type": "file"}``: in a union of classes with one tag, this one has that attribute value.
                The attribute needs no field: it is read and written by the class.  It tags the JSON form too;
    ``json``    ``{"kind": "file"}``: tags only the JSON form, for unions told apart by tag or by variant().
    """

    if TYPE_CHECKING:
        __xml__: ClassVar[Shape]

        def __init_subclass__(
            cls,
            *,
            tag: str = "",
            prefix: str = "",
            when: Mapping[str, str] | None = None,
            json: Mapping[str, str] | None = None,
        ) -> None: ...

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed; other values are shared with the original."""
        return msgspec.structs.replace(self, **changes)

    def only(self, names: Iterable[str]) -> Self:
        """A copy with nothing but the fields of these ``names``, which share their values with the original."""
        return type(self)(**{name: getattr(self, name) for name in names})

    def copy(self) -> Self:
        """A copy that shares no element and no list with the original."""
        return type(self)(**{name: _copied(getattr(self, name)) for name in self.__struct_fields__})

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()


def _copied(value: Any) -> Any:
    if isinstance(value, Element):
        return value.copy()
    return [_copied(item) for item in value] if isinstance(value, list) else value
