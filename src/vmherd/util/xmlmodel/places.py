"""Finding the line of a place such as ``domain/devices/disk[2]/target/@bus`` in a text."""

from __future__ import annotations

import re

from lxml import etree

from vmherd.util.xmlmodel.document import DEFAULT_LIMITS, Limits, load
from vmherd.util.xmlmodel.faults import line_of

_STEP = re.compile(r"(?:[^:\[\]]+:)?(?P<tag>[^:\[\]]+)(?:\[(?P<number>[0-9]{1,9})\])?")


class Places:
    """The elements of a text.  Raises XMLSyntaxError as parse does."""

    def __init__(self, text: str | bytes, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._root = load(text, limits)

    @property
    def tag(self) -> str:
        """The name of the root."""
        return str(self._root.tag)

    def line(self, place: str) -> int:
        """The line where the element at ``place`` begins; of one that is not there, where the nearest around it does.

        0 when not even the root is the same.
        """
        first, *steps = (step for step in place.split("/") if not step.startswith("@"))
        if first != etree.QName(self._root).localname:
            return 0
        node = self._root
        for step in steps:
            below = _below(node, step)
            if below is None:
                break
            node = below
        return line_of(node)


def _below(node: etree._Element, step: str) -> etree._Element | None:
    match = _STEP.fullmatch(step)
    if match is None:
        return None
    number = int(match["number"] or 1)
    twins = [child for child in node if etree.QName(child).localname == match["tag"]]
    return twins[number - 1] if 1 <= number <= len(twins) else None
