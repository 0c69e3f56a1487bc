"""Errors about a place in a document; the place and line are worked out only when there is an error."""

from __future__ import annotations

from typing import cast

from lxml import etree

from vmherd.errors import DocumentError
from vmherd.util.xmlmodel.fields import Element
from vmherd.util.xmlmodel.scalars import BadValue, shown

#: Errors of one text that are told: who has more begins with these, and finding a place among many takes time.
MOST = 100


def place_of(node: etree._Element) -> str:
    """The path of ``node`` from the root, such as ``devices/disk[2]``; [n] where siblings share a tag."""
    steps = []
    step: etree._Element | None = node
    while step is not None:
        steps.append(_step(step))
        step = step.getparent()
    return "/".join(reversed(steps))


def line_of(node: etree._Element) -> int:
    """The line ``node`` begins in, or 0."""
    return cast("int | None", node.sourceline) or 0


def _step(node: etree._Element) -> str:
    local = etree.QName(node).localname
    name = f"{node.prefix}:{local}" if node.prefix else local
    parent = node.getparent()
    twins = [] if parent is None else parent.findall(node.tag)
    return f"{name}[{twins.index(node) + 1}]" if len(twins) > 1 else name


def fault(node: etree._Element, attribute: str, problem: ValueError) -> DocumentError:
    """The error for a bad value in ``node``'s text, or in its attribute if one is named."""
    place = place_of(node) + (f"/@{attribute}" if attribute else "")
    hint = problem.hint if isinstance(problem, BadValue) else ""
    return DocumentError(str(problem), place=place, line=line_of(node), hint=hint)


def too_deep(cls: type[Element]) -> DocumentError:
    """The error for a ``cls`` that holds elements in elements beyond what Python can follow."""
    return DocumentError("elements are nested too deeply", place=cls.__xml__.markup)


def missing(node: etree._Element, what: str) -> DocumentError:
    """The error for something ``node`` must have; ``what`` is ``@attribute``, ``<element>`` or "text"."""
    name = f"the attribute {what[1:]!r}" if what.startswith("@") else what
    return DocumentError(f"{name} is missing", place=place_of(node), line=line_of(node))


def another(node: etree._Element) -> DocumentError:
    """The error for a second element where there can be one."""
    text = f"there can be only one <{etree.QName(node).localname}> here"
    return DocumentError(text, place=place_of(node), line=line_of(node), hint="remove one of them")


def unmatched(node: etree._Element, attribute: str, known: list[str]) -> DocumentError:
    """The error for an element none of whose classes goes with the value of ``attribute``."""
    value = node.get(attribute)
    if value is None:
        return missing(node, "@" + attribute)
    return fault(node, attribute, ValueError(f"{shown(value)} is not one of: {', '.join(known)}"))
