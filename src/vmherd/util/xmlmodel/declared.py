"""What an Element class declared, with its annotations resolved: for the compilers, tests and docs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from vmherd.util.xmlmodel.fields import MISSING, Element, ElementMeta, Kind, Spec
from vmherd.util.xmlmodel.scalars import BUILTIN, Codec, SizeCodec, enumerated


@dataclass(frozen=True, eq=False)
class Field:
    """One declared field.

    ``xml`` is its attribute name or (first) tag.  ``codec`` reads and writes the value of an attribute or
    text; ``classes`` are those a child may have.  ``default`` is MISSING when the document must have the
    field, and something to call when ``factory``.
    """

    name: str
    xml: str
    kind: Kind
    many: bool
    optional: bool
    codec: Codec | SizeCodec | None
    classes: tuple[type[Element], ...]
    default: Any
    factory: bool
    spec: Spec

    @property
    def required(self) -> bool:
        return self.default is MISSING

    def tag_of(self, cls: type[Element]) -> str:
        """The tag that a child of class ``cls`` has in this field."""
        return self.spec.xml or cls.__xml__.tag


@cache
def declared(cls: type[Element]) -> tuple[Field, ...]:
    """The fields of ``cls`` in the order they are written; TypeError if a declaration makes no sense."""
    hints = get_type_hints(cls, include_extras=True)
    fields = [_resolve(name, spec, hints[name]) for name, spec in cls.__xml__.specs.items()]
    for each in fields:
        if problem := _nonsense(each, fields):
            raise TypeError(f"{cls.__name__}.{each.name}: {problem}")
    return tuple(sorted(fields, key=lambda each: each.spec.last))


def reachable(cls: type[Element]) -> list[type[Element]]:
    """``cls`` and every class below it, each once."""
    found = {cls: None}
    waiting = [cls]
    while waiting:
        below = [one for field in declared(waiting.pop(0)) for one in field.classes]
        waiting += [one for one in dict.fromkeys(below) if one not in found]
        found |= dict.fromkeys(below)
    return list(found)


def _resolve(name: str, spec: Spec, hint: Any) -> Field:
    hint, optional = _without_none(hint)
    many = get_origin(hint) is list
    if many:
        (hint,) = get_args(hint)
    classes = _classes(hint)
    default, factory = _default(spec, optional=optional, many=many)
    return Field(
        name=name,
        xml=spec.xml or (classes[0].__xml__.tag if classes else name),
        kind=spec.kind,
        many=many,
        optional=optional,
        codec=None if classes or spec.kind in (Kind.FLAG, Kind.RAW) else codec_of(hint),
        classes=classes,
        default=default,
        factory=factory,
        spec=spec,
    )


def _default(spec: Spec, *, optional: bool, many: bool) -> tuple[Any, bool]:
    """The default of a field, and whether it is to be called."""
    if spec.default is not MISSING:
        return spec.default, spec.kind is Kind.CHILD and callable(spec.default)
    if many:
        return list, True
    return (None if optional else MISSING), False


def _nonsense(each: Field, fields: list[Field]) -> str:
    """What is wrong with a declaration, or ""."""
    if (each.kind in (Kind.CHILD, Kind.CHILDREN, Kind.VARIANT)) != bool(each.classes):
        return f"{each.kind}() does not go with its type"
    if each.many != (each.kind is Kind.CHILDREN) and each.kind is not Kind.LEAF:
        return f"{each.kind}() {'cannot be a list' if each.many else 'must be a list'}"
    if any(not each.tag_of(cls) for cls in each.classes):
        return "its class has no tag"
    if each.xml.startswith("{") and not each.classes:
        return "only elements that have a class can have a namespace"
    if not set(each.spec.cases.values()) <= set(each.classes):
        return "a case has a class that the type does not name"
    before = fields[: fields.index(each)]
    if each.kind is Kind.VARIANT and each.spec.discriminator not in [other.xml for other in before]:
        return f"declare the attribute {each.spec.discriminator!r} before it"
    if each.kind is Kind.TEXT and any(other.kind not in (Kind.TEXT, Kind.ATTR) for other in fields):
        return "an element is written with a text or with children, not both"
    return _ambiguous(each)


def _ambiguous(each: Field) -> str:
    """Say so if two classes of a union cannot be told apart in a document."""
    if each.kind is Kind.VARIANT:
        return ""
    marks = [(each.tag_of(cls), cls.__xml__.when) for cls in each.classes]
    attributes = {(tag, when[0]) for tag, when in marks if when}
    if len(set(marks)) < len(marks) or len(attributes) > len({tag for tag, _ in attributes}):
        return "classes of one tag need when={attribute: value}, of the same attribute and each its own value"
    return ""


def _without_none(hint: Any) -> tuple[Any, bool]:
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else ()
    if NoneType not in parts:
        return hint, False
    return reduce(or_, [part for part in parts if part is not NoneType]), True


def _classes(hint: Any) -> tuple[type[Element], ...]:
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return tuple(part for part in parts if isinstance(part, ElementMeta) and issubclass(part, Element))


def codec_of(hint: Any) -> Codec | SizeCodec:
    """The codec for an annotation: the one in ``Annotated``, an enum's own, or that of str, int, float."""
    if get_origin(hint) is Annotated:
        for extra in hint.__metadata__:
            if isinstance(extra, Codec | SizeCodec):
                return extra
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return enumerated(hint)
    if hint in BUILTIN:
        return BUILTIN[hint]
    raise TypeError(f"{hint!r} has no codec; write Annotated[..., Codec(parse, format)]")
