"""Value types that only the domain document needs."""

from __future__ import annotations

import re
from typing import Annotated, get_args

from msgspec import Meta

from vmherd.util.xmlmodel import BadValue, Codec, SizeCodec, Uuid, hexadecimal, whole

_HEX = hexadecimal(1)
_UUID: Codec = get_args(Uuid)[1]


def _parse_genid(text: str) -> str:
    return str(_UUID.parse(text)) if text else ""


def _or_any(high: int, form: str) -> Codec:
    """A number of the USB standard, or -1 for any."""
    codec = hexadecimal(1, high)
    return Codec(
        lambda text: ANY if text == str(ANY) else codec.parse(text),
        lambda number: str(ANY) if number == ANY else form.format(number),
    )


#: Stands for every number.
ANY = -1
UpperHex2 = Annotated[int, _or_any(0xFF, "0x{:02X}"), Meta(ge=-1)]
UpperHex4 = Annotated[int, _or_any(0xFFFF, "0x{:04X}"), Meta(ge=-1)]
SizeInB = Annotated[int, SizeCodec("B"), Meta(ge=0)]  # bytes, spelt as the lines of caches are
SizeInM = Annotated[int, SizeCodec("M"), Meta(ge=0)]  # MiB, spelt as shared memory spells it
SizeInMiB = Annotated[int, SizeCodec("MiB"), Meta(ge=0)]
CpuCount = Annotated[int, whole(0, 16384), Meta(ge=0, le=16384)]  # as many as sets of CPUs can name
ThreadCount = Annotated[int, whole(0, 4096), Meta(ge=0, le=4096)]  # each is a thread of a process on this host
GenId = Annotated[str, Codec(_parse_genid)]  # "" asks for one to be made


def _parse_wwn(text: str) -> str:
    """Source: virValidateWWN of libvirt"""
    if not _WWN.fullmatch(text):
        raise BadValue(f"{text[:40]!r} is no world wide name", "write 16 hexadecimal digits")
    return text


_WWN = re.compile(r"(0x)?[0-9a-fA-F]{16}")
Wwn = Annotated[str, Codec(_parse_wwn)]

_USB_VERSION = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})", re.ASCII)


def _parse_usb_version(text: str) -> str:
    """2.1 is 2.10, as in the descriptors of devices.  Source: virDomainRedirFilterUSBVersionHelper of libvirt"""
    if text == "-1":  # any
        return text
    found = _USB_VERSION.fullmatch(text)
    if found is None:
        raise BadValue(f"{text!r} is no USB version", "write it like 2.00")
    return f"{int(found[1])}.{found[2]:0<2}"


UsbVersion = Annotated[str, Codec(_parse_usb_version)]
