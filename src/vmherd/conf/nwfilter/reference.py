"""<filterref>: another filter, with values for its variables.

Source: virNWFilterParseParamAttributes and virNWFilterFormatParamAttributes of src/conf/nwfilter_params.c
"""

from __future__ import annotations

import re
from typing import Annotated

from vmherd.util.xmlmodel import BadValue, Codec, Element, attr, children


def _checked(form: str, what: str, hint: str, *, safe: bool = True) -> Codec:
    def read(text: str) -> str:
        if not re.fullmatch(form, text, re.ASCII):
            raise BadValue(f"{text[:60]!r} is no {what}", hint)
        return text

    return Codec(read, safe=safe)


VariableName = Annotated[str, _checked(r"\w+", "name of a variable", "letters, digits and _ make one")]
VariableValue = Annotated[str, _checked(r"[\w.:]+", "value of a variable", "letters, digits and any of _.: make one")]
Name = Annotated[str, _checked(r"[^/\n]+", "name", "it cannot be empty, nor hold / or line breaks", safe=False)]


class Parameter(Element, tag="parameter"):
    """One value of a variable; several of one name make a list.  libvirt forgets one it cannot read."""

    name: VariableName = attr()
    value: VariableValue = attr()


class FilterRef(Element, tag="filterref", json={"kind": "filterref"}):
    """The parameters are sorted by name; values of one name keep their order."""

    filter: Name = attr()
    parameters: list[Parameter] = children()

    def __post_init__(self) -> None:
        self.parameters = sorted(self.parameters, key=lambda each: each.name)
