"""A filter with all that it refers to.

Source: virNWFilterDefToInst of src/nwfilter/nwfilter_gentech_driver.c
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from vmherd.conf.nwfilter import Filter, FilterRef, Rule
from vmherd.errors import FilterNotFound, InvalidArgument, OperationFailed
from vmherd.resources.nwfilter import variables as vars_
from vmherd.resources.nwfilter.variables import Variables

#: The filter with a name; raises FilterNotFound.
Find = Callable[[str], Filter]

#: More than these would only wear out the kernel, or us.
_MOST_RULES = 10_000
_MOST_NESTED = 100


class Placed(NamedTuple):
    """A rule, the chain it is in, and what its variables stand for."""

    rule: Rule
    chain: str
    chain_priority: int
    variables: Variables


def flatten(name: str, find: Find, variables: Variables) -> list[Placed]:
    """Every rule of a filter and those it refers to, in their order.

    Values from outside go before those that a reference gives.  Raises FilterNotFound, InvalidArgument where there
    are too many.
    """
    walk = _Walk(find)
    walk.enter(name, variables, 0)
    return walk.found


class _Walk:
    """Through a filter and all it refers to, as often as it does."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._steps = 0
        self.found: list[Placed] = []

    def enter(self, name: str, variables: Variables, depth: int) -> None:
        if depth > _MOST_NESTED:
            raise InvalidArgument(f"filters refer to each other more than {_MOST_NESTED} deep")
        filter_ = self._find(name)
        for each in filter_.entries:
            self._steps += 1
            if self._steps > _MOST_RULES:
                raise InvalidArgument(f"a filter and what it refers to have more than {_MOST_RULES} rules")
            if isinstance(each, FilterRef):
                self.enter(each.filter, {**vars_.parameters(each), **variables}, depth + 1)
            else:
                self.found.append(Placed(each, filter_.chain, filter_.priority or 0, variables))


def missing(placed: list[Placed]) -> set[str]:
    """The variables that nobody gave a value."""
    return {name for each in placed for name in vars_.missing(each.rule.protocols, each.variables)}


def names(name: str, find: Find) -> set[str]:
    """A filter and all it refers to, also those that are not there."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        if (one := waiting.pop()) in found:
            continue
        found.add(one)
        try:
            waiting += references(find(one))
        except FilterNotFound:
            continue
    return found


def references(filter_: Filter) -> list[str]:
    return [each.filter for each in filter_.entries if isinstance(each, FilterRef)]


def require_no_loop(filter_: Filter, find: Find) -> None:
    """Raises OperationFailed where a filter would refer to itself, at once or by way of others."""
    for each in references(filter_):
        if filter_.name in names(each, find):
            way = "itself" if each == filter_.name else f"{each!r}, which refers to it"
            raise OperationFailed(f"filter would introduce a loop: {filter_.name!r} refers to {way}")
