"""The world of a ``test:///`` connection: the built-in one, or one read from a file.

A file is a ``<node>`` with ``<domain>`` elements, whole or as ``<domain file='other.xml'/>`` relative to it; the
namespace http://libvirt.org/schemas/domain/test/1.0 adds ``<test:transient/>`` and ``<test:runstate>``
with the number of a domain state.  Source: https://libvirt.org/drvtest.html.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from lxml import etree

from vmherd.driver.types import State
from vmherd.errors import ConnectFailed, DocumentError
from vmherd.util.xmlmodel import document

_NS = "{http://libvirt.org/schemas/domain/test/1.0}"
_LIMIT = 8 << 20

_DEFAULT = """\
<domain type='test'>
  <name>test</name>
  <uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>
  <memory>8388608</memory>
  <currentMemory>2097152</currentMemory>
  <vcpu>2</vcpu>
  <os>
    <type>hvm</type>
  </os>
  <devices>
    <disk type='file'>
      <source file='/guest/diskimage1'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'>
      <mac address='aa:bb:cc:dd:ee:ff'/>
      <source network='default'/>
      <target dev='testnet0'/>
    </interface>
    <memballoon model='virtio'/>
  </devices>
</domain>
"""


class Guest(msgspec.Struct, frozen=True):
    """A domain to begin with."""

    xml: str
    state: State = State.RUNNING
    transient: bool = False


def default() -> list[Guest]:
    """The one domain of test:///default."""
    return [Guest(_DEFAULT)]


def load(path: str) -> list[Guest]:
    """The domains of the node document at ``path``.  Raises ConnectFailed if it cannot be read, DocumentError."""
    root = _read(Path(path))
    if root.tag != "node":
        raise DocumentError(f"expected <node>, found <{root.tag}>", place=path)
    return [_guest(child, Path(path).parent) for child in root.iterchildren("domain")]


def _guest(element: etree._Element, folder: Path) -> Guest:
    if (file := element.get("file")) is not None:
        element = _read(folder / file)
    number = element.findtext(f"{_NS}runstate", default=str(int(State.RUNNING)))
    try:
        state = State(int(number))
    except ValueError:
        raise DocumentError(f"{number!r} is not the number of a domain state", place="domain/test:runstate") from None
    transient = element.find(f"{_NS}transient") is not None
    return Guest(etree.tostring(element, encoding="unicode"), state, transient)


def _read(path: Path) -> etree._Element:
    try:
        with path.open("rb") as file:
            text = file.read(_LIMIT)
    except OSError as problem:
        raise ConnectFailed(
            f"cannot read {path}: {problem.strerror}", hint="test:///default needs no file"
        ) from problem
    return document.load(text)
