"""Good documents made bad: parts dropped, doubled, moved and exchanged, and values that nobody expects."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy

from corpus import DOCUMENTS
from lxml import etree

#: Elements below one that is not doubled any more: what is slow shall not be so for its size.
_LARGE = 60

Mutation = Callable[[etree._Element, random.Random], None]

#: What stands where something else is expected.  NUL and the like are no XML, so they come by damaged bytes only.
ODD = [
    "", " ", "0", "-1", "1", "00", "+1", "0x", "0xffffffff", "0x10000000000000000", "007", "08", "1e9", "1.5", "nan",
    "255", "256", "65536", "2147483647", "2147483648", "4294967295", "4294967296", "9223372036854775807",
    "18446744073709551615", "18446744073709551616", "9" * 400, "１２", "1_000", "yes", "no", "on", "off", "default",
    "none", "\u202etxet", "\U0001f9a5", "é" * 300, "a\nb", "a\tb", "'\"&<>", "../../etc/passwd", "/", "//", "..",
    "%s{}", "0-3,^2", "^0", "0-16383", "3-1", "a,b=c", ",,", "vda", "sdzzzzzz", "hdq", "52:54:00:12:34:56",
    "ff:ff:ff:ff:ff:ff", "00000000-0000-0000-0000-000000000000", "1.2.3.4", "::1", "2001:db8::1/300",
    "1.2.3.4.5.6", "json:{}", "-", "--help",
]  # fmt: skip

_PARSER = etree.XMLParser(remove_blank_text=True, remove_comments=True, remove_pis=True)


def tree(text: str) -> etree._Element:
    return etree.fromstring(text.encode(), _PARSER)


_TREES = [tree(text) for text in DOCUMENTS]
_BELOW = [node for root in _TREES for node in root.iterdescendants()]
#: Every value that an attribute of some name has in a good document.
_KNOWN: dict[str, list[str]] = {}
for _node in _BELOW:
    for _name, _value in _node.attrib.items():
        _KNOWN.setdefault(str(_name), []).append(str(_value))
_NAMES = sorted(_KNOWN)
_BY_TAG: dict[str, list[etree._Element]] = {}
for _node in _BELOW:
    _BY_TAG.setdefault(str(_node.tag), []).append(_node)


def mutate(text: str, source: random.Random, most: int = 6) -> str:
    """A document that differs from ``text`` in up to ``most`` ways."""
    root = tree(text)
    for _ in range(source.randint(1, most)):
        source.choice(_MUTATIONS)(root, source)
    return etree.tostring(root, encoding="unicode")


def _any(root: etree._Element, source: random.Random) -> etree._Element:
    return source.choice(list(root.iter()))


def _drop(root: etree._Element, source: random.Random) -> None:
    node = _any(root, source)
    parent = node.getparent()
    if parent is not None:
        parent.remove(node)


def _double(root: etree._Element, source: random.Random) -> None:
    node = _any(root, source)
    parent = node.getparent()
    if parent is not None and sum(1 for _ in node.iter()) < _LARGE:
        for _ in range(source.choice([1, 1, 1, 2, 40])):
            parent.insert(source.randint(0, len(parent)), _copy(node))


def _move(root: etree._Element, source: random.Random) -> None:
    node, target = _any(root, source), _any(root, source)
    if node is not root and node not in target.iterancestors() and node is not target:
        target.insert(source.randint(0, len(target)), node)


def _swap(root: etree._Element, source: random.Random) -> None:
    node = _any(root, source)
    if len(node) > 1:
        node.insert(source.randrange(len(node)), source.choice(list(node)))


def _graft(root: etree._Element, source: random.Random) -> None:
    """Something out of another document, anywhere."""
    _any(root, source).append(_copy(source.choice(_BELOW)))


def _exchange(root: etree._Element, source: random.Random) -> None:
    """An element in place of one with the same name."""
    node = _any(root, source)
    parent = node.getparent()
    if parent is not None and (twins := _BY_TAG.get(str(node.tag))):
        parent.replace(node, _copy(source.choice(twins)))


def _add_device(root: etree._Element, source: random.Random) -> None:
    devices = root.find("devices")
    devices = _any(root, source) if devices is None else devices
    for _ in range(source.choice([1, 1, 2, 30])):
        devices.append(_copy(source.choice(_DEVICES)))


_DEVICES = [node for root in _TREES for devices in root.iterfind("devices") for node in devices]


def _forget_attribute(root: etree._Element, source: random.Random) -> None:
    node = _any(root, source)
    if node.attrib:
        del node.attrib[source.choice(sorted(map(str, node.attrib)))]


def _change_attribute(root: etree._Element, source: random.Random) -> None:
    node = _any(root, source)
    if node.attrib:
        name = source.choice(sorted(map(str, node.attrib)))
        node.set(name, source.choice(source.choice([_KNOWN.get(name, ODD), ODD])))


def _add_attribute(root: etree._Element, source: random.Random) -> None:
    name = source.choice(_NAMES)
    _any(root, source).set(name, source.choice(source.choice([_KNOWN[name], ODD])))


def _change_text(root: etree._Element, source: random.Random) -> None:
    _any(root, source).text = source.choice(ODD)


def _nest(root: etree._Element, source: random.Random) -> None:
    node = _any(root, source)
    for _ in range(source.choice([1, 3, 50, 300])):
        node.append(etree.Element(node.tag, dict(node.attrib)))
        node = node[-1]


def _copy(node: etree._Element) -> etree._Element:
    twin = deepcopy(node)
    twin.tail = None
    return twin


_MUTATIONS: list[Mutation] = [
    _drop, _double, _move, _swap, _graft, _exchange, _add_device, _forget_attribute, _change_attribute,
    _change_attribute, _add_attribute, _change_text, _nest,
]  # fmt: skip
