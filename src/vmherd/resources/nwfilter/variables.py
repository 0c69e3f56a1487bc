"""Variables of filters, and the rules that come of one rule for the values they have.

Source: virNWFilterVarCombIterNew and virNWFilterVarCombIterNext of src/conf/nwfilter_params.c
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import product
from typing import NamedTuple

import msgspec

from vmherd.conf.nwfilter import FilterRef
from vmherd.conf.nwfilter.bridged import Protocol
from vmherd.errors import InvalidArgument
from vmherd.util.xmlmodel import declared
from vmherd.util.xmlmodel.scalars import Codec

#: The values of each variable; those of one name are a list.
Variables = Mapping[str, tuple[str, ...]]

_FORM = re.compile(r"\$(?P<name>\w+)(?:\[(?P<at>@?)(?P<number>\d+)\])?", re.ASCII)


class Use(NamedTuple):
    """A variable in the place of a value: one of its values, or each in turn by an iterator."""

    name: str
    at: int | None
    iterator: int

    def __str__(self) -> str:
        return self.name if self.at is None else f"{self.name}[{self.at}]"


def parameters(reference: FilterRef) -> dict[str, tuple[str, ...]]:
    """The values that a reference gives."""
    found: dict[str, tuple[str, ...]] = {}
    for each in reference.parameters:
        found[each.name] = (*found.get(each.name, ()), each.value)
    return found


def uses(protocol: Protocol) -> dict[str, Use]:
    """The variables of a rule by the field they stand in."""
    found = {}
    for field in _codecs(type(protocol)):
        value = getattr(protocol, field)
        if isinstance(value, str) and value.startswith("$"):
            found[field] = _use(value)
    return found


def _use(text: str) -> Use:
    parts = _FORM.fullmatch(text)
    assert parts is not None  # the document was checked
    if parts["number"] is None or parts["at"]:
        return Use(parts["name"], None, int(parts["number"] or 0))
    return Use(parts["name"], int(parts["number"]), 0)


@cache
def _codecs(protocol: type[Protocol]) -> dict[str, Codec]:
    """How the values of a protocol are read; a comment is none."""
    fields = (each for each in declared(protocol) if each.name not in ("match", "comment"))
    return {each.name: each.codec for each in fields if isinstance(each.codec, Codec)}


def missing(protocols: Iterable[Protocol], variables: Variables) -> set[str]:
    """What a rule uses and nobody told: variables, and elements of lists."""
    used = {use for protocol in protocols for use in uses(protocol).values()}
    return {str(use) for use in used if len(variables.get(use.name, ())) <= (use.at or 0)}


def instances(protocol: Protocol, variables: Variables) -> Iterator[Protocol]:
    """A rule for each combination of values, with no variables.

    Those of one iterator advance together.  Raises InvalidArgument where their lists differ in length, and for a
    value that is none of its attribute's type.
    """
    found = uses(protocol)
    if not found:
        yield protocol
        return
    seen = set()
    for turn in _turns(found, variables):
        values = {field: variables[use.name][_place(use, turn)] for field, use in found.items()}
        if (told := tuple(values.values())) not in seen:
            seen.add(told)
            checked = {field: _checked(protocol, field, value) for field, value in values.items()}
            yield msgspec.structs.replace(protocol, **checked)


def _place(use: Use, turn: Mapping[int, int]) -> int:
    return turn[use.iterator] if use.at is None else use.at


def _turns(found: Mapping[str, Use], variables: Variables) -> Iterator[dict[int, int]]:
    """The place of each iterator, for all combinations."""
    lengths: dict[int, int] = {}
    for use in found.values():
        if use.at is None:
            length = len(variables[use.name])
            if lengths.setdefault(use.iterator, length) != length:
                raise InvalidArgument(
                    f"${use.name} has {length} values, another variable of its rule {lengths[use.iterator]}",
                    hint="give both as many, or each an iterator of its own: $A[@1] and $B[@2]",
                )
    for places in product(*map(range, lengths.values())):
        yield dict(zip(lengths, places, strict=True))


def _checked(protocol: Protocol, field: str, value: str) -> object:
    try:
        return _codecs(type(protocol))[field].parse(value)
    except ValueError as problem:
        use = uses(protocol)[field]
        raise InvalidArgument(f"<{protocol.__xml__.tag}> cannot have ${use} as its {field}: {problem}") from None
