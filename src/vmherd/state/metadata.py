"""Title, description and the elements of <metadata>, each of which belongs to some program by its namespace.

Source: virDomainObjGetMetadata and virDomainDefSetMetadata of libvirt.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from lxml import etree

from vmherd.conf.domain import Domain
from vmherd.errors import DocumentError, InvalidArgument, MetadataNotFound
from vmherd.events import MetadataType
from vmherd.util.xmlmodel.document import load
from vmherd.util.xmlmodel.parser import verbatim

if TYPE_CHECKING:
    from lxml.etree import _Element as Node


def check(kind: MetadataType, text: str | None, key: str | None, uri: str | None) -> None:
    """Raise InvalidArgument for what ``write`` could not do anything with."""
    if kind is MetadataType.ELEMENT:
        if not uri:
            raise InvalidArgument("an element of <metadata> is known by the URI of its namespace")
        if text is not None and not key:
            raise InvalidArgument("an element of <metadata> needs a prefix for its namespace")
    elif key or uri:
        raise InvalidArgument("only elements of <metadata> have a namespace")
    if kind is MetadataType.TITLE and text and "\n" in text:
        raise InvalidArgument("a title is one line", hint="the description may have several")


def read(domain: Domain, kind: MetadataType, uri: str | None) -> str:
    """Raises MetadataNotFound where there is none."""
    match kind:
        case MetadataType.DESCRIPTION:
            found = domain.description
        case MetadataType.TITLE:
            found = domain.title
        case MetadataType.ELEMENT:
            found = _element(domain.metadata, uri or "")
    if found is None:
        raise MetadataNotFound("Requested metadata element is not present")
    return found


def write(domain: Domain, kind: MetadataType, text: str | None, key: str | None, uri: str | None) -> None:
    """Set what ``read`` reads; None removes it."""
    match kind:
        case MetadataType.DESCRIPTION:
            domain.description = text or None
        case MetadataType.TITLE:
            domain.title = text or None
        case MetadataType.ELEMENT:
            domain.metadata = _with_element(domain.metadata, text, key or "", uri or "")


def _element(metadata: str | None, uri: str) -> str | None:
    found = _find(load(metadata), uri) if metadata else None
    if found is None:
        return None
    bare = deepcopy(found)
    for node in bare.iter(f"{{{uri}}}*"):
        node.tag = etree.QName(node).localname
    etree.cleanup_namespaces(bare)
    return verbatim(bare)


def _with_element(metadata: str | None, text: str | None, key: str, uri: str) -> str | None:
    if metadata is None and text is None:
        return None
    root = load(metadata or "<metadata/>")
    old = _find(root, uri)
    if old is not None:
        root.remove(old)
    if text is not None:
        root.append(_placed(load(text), key, uri))
    return verbatim(root)


def _find(root: Node, uri: str) -> Node | None:
    return next((node for node in root.iterchildren("{*}*") if etree.QName(node).namespace == uri), None)


def _placed(element: Node, key: str, uri: str) -> Node:
    """``element`` with everything that has no namespace in that of ``uri``, written with the prefix ``key``."""
    if element.nsmap.get(key, uri) != uri:
        raise DocumentError(f"the prefix {key!r} is for {element.nsmap[key]!r} already", hint="choose another prefix")
    try:
        placed = etree.Element(element.tag, nsmap={**element.nsmap, key: uri})  # type: ignore[dict-item]  # None is fine
    except ValueError as problem:
        raise InvalidArgument(f"{key!r} cannot be the prefix of a namespace: {problem}") from None
    placed.attrib.update(element.attrib)
    placed.text = element.text
    placed.extend(element)
    for node in placed.iter("{}*"):
        node.tag = f"{{{uri}}}{node.tag}"
    return placed
