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

    domain = parse(Domain, text)            # DocumentError: domain/disk[2]/target/@bus (line 14): 'scsy' is not ...
    text = render(domain)
    json = msgspec.json.encode(domain)      # elements are msgspec structs

What a field may be: ``attr`` an attribute, ``text`` the text of the element, ``leaf`` a child with only text, ``flag`` an
empty child, ``child`` and ``children`` child elements, ``variant`` a child whose class the own attribute chooses, ``raw``
a child kept as text.  The XML name is the Python name or tag unless given first: ``attr("readOnly")``,
``child("mirror")``.  Fields are written in declaration order, attributes on the start tag.

Value types: str, int, float, any StrEnum; Int, UInt, Long, ULong (C's 32 and 64 bits); Hex, Hex2, Hex4, Hex6, Hex8
(0x, that many digits at least); Switch (on/off), YesNo; Size and SizeInBytes (bytes, with a ``unit`` attribute beside);
Mac, Uuid, CpuSet (a sorted tuple).  Another one is ``Annotated[type, Codec(parse, format)]``.  Values that are not str are
trimmed of blanks in element text, not in attributes.

``__post_init__`` of a class may raise ValueError to refuse a combination; the error gets the element's place.
"""

from vmherd.util.xmlmodel.document import Limits, parse, parse_any, render
from vmherd.util.xmlmodel.fields import (
    MISSING,
    Element,
    Field,
    Kind,
    attr,
    child,
    children,
    declared,
    flag,
    leaf,
    raw,
    text,
    variant,
)
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
    scale,
    whole,
    words,
)

__all__ = [
    "MISSING", "BadValue", "Codec", "CpuSet", "Element", "Field", "Hex", "Hex2", "Hex4", "Hex6", "Hex8", "Int", "Kind",
    "Limits", "Long", "Mac", "Size", "SizeCodec", "SizeInBytes", "Switch", "UInt", "ULong", "Uuid", "YesNo", "attr",
    "child", "children", "declared", "flag", "format_cpus", "hexadecimal", "leaf", "parse", "parse_any", "parse_cpus",
    "raw", "render", "scale", "text", "variant", "whole", "words",
]  # fmt: skip
