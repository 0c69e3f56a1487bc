"""XML documents as typed Python classes: declare a class per element, then ``parse`` and ``render``.

    class Bus(StrEnum):
        IDE = "ide"
        VIRTIO = "virtio"

    class Target(Element, tag="target"):
        dev: str = attr()                                   # required: the annotation has no None
        bus: Bus | None = attr()                            # None when absent
        tray: Tray = attr(default=Tray.CLOSED)              # written only when it is not the default

    class FileSource(Element, tag="source", json={"kind": "file"}):
        file: str = attr()

    class BlockSource(Element, tag="source", json={"kind": "block"}):
        dev: str = attr()

    class PciAddress(Element, tag="address", when={"type": "pci"}):   # <address type='pci' .../>
        slot: Hex2 = attr()

    class UsbAddress(Element, tag="address", when={"type": "usb"}):
        port: str = attr()

    class Device(Element):                                  # no tag: only to be inherited
        address: PciAddress | UsbAddress | None = child(last=True)    # after the fields of subclasses

    class Disk(Device, tag="disk"):
        type: DiskType = attr(default=DiskType.FILE, always=True)     # written even when it is the default
        source: FileSource | BlockSource | None = variant("type", {"file": FileSource, "block": BlockSource})
        target: Target = child()
        read_only: bool = flag("readonly")
        serial: str | None = leaf()

    class IoThread(Element, tag="iothread"):
        id: UInt = attr()

    class Domain(Element, tag="domain"):
        name: str = leaf()
        memory: Size = leaf()                               # bytes; <memory unit='KiB'>1048576</memory>
        metadata: str | None = raw()
        iothreads: list[IoThread] = children(within="iothreads")
        disks: list[Disk] = children()

    domain = parse(Domain, text)            # DocumentError: domain/disk[2]/target/@bus (line 9): ...
    text = render(domain)
    json = msgspec.json.encode(domain)      # elements are msgspec structs

What a field may be: ``attr`` an attribute, ``text`` the text of the element, ``leaf`` a child with only
text, ``flag`` an empty child, ``child`` and ``children`` child elements, ``variant`` a child whose class
the element's own attribute chooses, ``raw`` a child kept as text.  The XML name is the Python name or the
tag of the class unless given first: ``attr("readOnly")``, ``child("mirror")``.  Fields are written in
declaration order, those of base classes first, those with ``last=True`` after all others; attributes stand
on the start tag.

Value types: str, int, float, any StrEnum; Int, UInt, Long, ULong (C's, 32 and 64 bits); Hex, Hex2, Hex4,
Hex6, Hex8 (0x, that many digits at least); Switch (on/off), YesNo; Size, SizeInBytes and NaturalSize (bytes
inside, a ``unit`` attribute on the element that holds the value); Mac, Uuid, CpuSet (a sorted tuple).  Another one is
``Annotated[type, Codec(parse, format)]``.  In element text, values that are not str are trimmed of blanks;
a str is taken as it is.

Absent is None for ``X | None``, the default for ``default=``, an error otherwise.
``child(default=Devices)`` makes an empty Devices() when absent.  (To mypy every field has a default;
a forgotten one is a TypeError at run time.)  ``__post_init__`` may raise ValueError to
refuse a combination of values; the error gets the element's place.

A namespaced element is ``class Arg(Element, tag="{http://...}arg", prefix="qemu")``: its xmlns goes on the
root.  Unknown elements and attributes are ignored; ``unknown(cls, text)`` lists them, and ``complaints(cls, text)``
all that parse would refuse, where parse stops at the first; ``Places(text).line(place)`` tells where that is.
Comments are dropped.  ``declared(cls)`` lists the fields of a class, ``reachable(cls)`` the classes of a document: a
test should call it, since classes are compiled at their first use and a declaration that makes no sense is found
only then.  Elements have ``replace(**changes)``, ``only(names)`` and a deep ``copy()``.
"""

from vmherd.util.xmlmodel.complaints import complaints
from vmherd.util.xmlmodel.declared import Field, declared, reachable
from vmherd.util.xmlmodel.document import Limits, parse, parse_any, render
from vmherd.util.xmlmodel.fields import (
    MISSING,
    Element,
    Kind,
    attr,
    child,
    children,
    flag,
    leaf,
    raw,
    text,
    variant,
)
from vmherd.util.xmlmodel.places import Places
from vmherd.util.xmlmodel.scalars import (
    BadValue,
    Codec,
    CpuSet,
    Hex,
    Hex2,
    Hex4,
    Hex6,
    Hex8,
    Int,
    Long,
    Mac,
    NaturalSize,
    Size,
    SizeCodec,
    SizeInBytes,
    Switch,
    UInt,
    ULong,
    Uuid,
    YesNo,
    format_cpus,
    hexadecimal,
    parse_cpus,
    parse_mac,
    parse_numbers,
    scale,
    whole,
    words,
)
from vmherd.util.xmlmodel.unknown import unknown

__all__ = [
    "MISSING",
    "BadValue",
    "Codec",
    "CpuSet",
    "Element",
    "Field",
    "Hex",
    "Hex2",
    "Hex4",
    "Hex6",
    "Hex8",
    "Int",
    "Kind",
    "Limits",
    "Long",
    "Mac",
    "NaturalSize",
    "Places",
    "Size",
    "SizeCodec",
    "SizeInBytes",
    "Switch",
    "UInt",
    "ULong",
    "Uuid",
    "YesNo",
    "attr",
    "child",
    "children",
    "complaints",
    "declared",
    "flag",
    "format_cpus",
    "hexadecimal",
    "leaf",
    "parse",
    "parse_any",
    "parse_cpus",
    "parse_mac",
    "parse_numbers",
    "raw",
    "reachable",
    "render",
    "scale",
    "text",
    "unknown",
    "variant",
    "whole",
    "words",
]
