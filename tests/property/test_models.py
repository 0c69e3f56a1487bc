"""What holds for every class of every document, whatever is in it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import elements, model_classes, places

from vmherd.util.xmlmodel import Element, parse, render, unknown

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
