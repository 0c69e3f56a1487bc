"""What holds for every class of every document, whatever is in it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutate
from strategies import elements, model_classes, places

from vmherd.errors import DocumentError
from vmherd.util.xmlmodel import Element, complaints, parse, render, unknown

CLASSES = model_classes()


@pytest.mark.parametrize("cls", CLASSES, ids=places(CLASSES))
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_what_is_written_is_read_back(cls: type[Element], data: st.DataObject) -> None:
    element = data.draw(elements(cls))
    text = render(element)
    assert parse(cls, text) == element
    assert unknown(cls, text) == []
    assert msgspec.json.decode(msgspec.json.encode(element), type=cls) == element
    assert element.copy() == element


@given(cls=st.sampled_from(CLASSES), data=st.data())
@settings(max_examples=200, deadline=None)
def test_complaints_are_what_parse_refuses_and_more(cls: type[Element], data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 2**32))
    text = mutate(render(data.draw(elements(cls))), Random(seed))
    refused, told = refusals(lambda: parse(cls, text)), refusals(lambda: complaints(cls, text))
    assert set(refused) <= set(told)
    assert bool(refused) == bool(told)


def refusals(reading: Callable[[], object]) -> list[str]:
    """What a function raises or returns of errors."""
    try:
        found = reading()
    except DocumentError as problem:
        return [str(problem)]
    return list(map(str, found)) if isinstance(found, list) else []
