"""Typed parameters between the program, where they are plain dicts, and the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from vmherd.driver.params import Kind, Params, Value, kind_of
from vmherd.rpc.xdr import TypedParam


def typed(params: Mapping[str, Value], kinds: Callable[[str], Kind | None] = kind_of) -> list[TypedParam]:
    """Parameters with the types that libvirt gives them; ``kinds`` tells the type of a name."""
    return [TypedParam(name, kinds(name) or _guess(value), value) for name, value in params.items()]


def _guess(value: Value) -> Kind:
    match value:
        case bool():
            return Kind.BOOLEAN
        case int():
            return Kind.ULLONG if value >= 0 else Kind.LLONG
        case float():
            return Kind.DOUBLE
    return Kind.STRING


def plain(params: Iterable[TypedParam]) -> Params:
    """Parameters without their types; of a name that comes twice, the last value."""
    return {name: bool(value) if kind == Kind.BOOLEAN else value for name, kind, value in params}
