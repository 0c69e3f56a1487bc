"""Vital product data of a PCI device: what its maker and its owner wrote into it.

Source: PCI Local Bus Specification 3.0, appendix I.  The data come from a device, so that nothing about them is sure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vmherd.conf.nodedev.pci import Access, SystemField, VendorField, Vpd, VpdFields

_NAME, _READ_ONLY, _READ_WRITE, _END = 0x02, 0x10, 0x11, 0x0F
_WORDS = {
    "EC": "change_level",
    "MN": "manufacture_id",
    "PN": "part_number",
    "SN": "serial_number",
}
_VALUE = re.compile(r"[\x20-\x7e]*")


def read(data: bytes) -> Vpd | None:
    """What the data say, None where they are none."""
    vpd = Vpd()
    for tag, content in _resources(data):
        if tag == _NAME and vpd.name is None:
            vpd.name = _text(content)
        elif tag in (_READ_ONLY, _READ_WRITE):
            fields = VpdFields(access=Access.READ_ONLY if tag == _READ_ONLY else Access.READ_WRITE)
            for keyword, value in _fields(content):
                _add(fields, keyword, value)
            vpd.fields.append(fields)
    return vpd if vpd.name is not None or vpd.fields else None


def _resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each resource: a byte of tag, one or two of size, the content."""
    at = 0
    while at < len(data):
        if data[at] & 0x80:
            tag, size, start = data[at] & 0x7F, int.from_bytes(data[at + 1 : at + 3], "little"), at + 3
        else:
            tag, size, start = data[at] >> 3 & 0x0F, data[at] & 0x07, at + 1
        if tag == _END or start + size > len(data):
            return
        yield tag, data[start : start + size]
        at = start + size


def _fields(content: bytes) -> Iterator[tuple[str, str]]:
    """Each field: two letters, a byte of size, the value; values that are not text are left out."""
    at = 0
    while at + 3 <= len(content):
        keyword, size = content[at : at + 2].decode("latin-1"), content[at + 2]
        value = _text(content[at + 3 : at + 3 + size])
        if value is not None and keyword not in ("RV", "RW"):
            yield keyword, value
        at += 3 + size


def _text(data: bytes) -> str | None:
    text = data.decode("latin-1").strip(" \0")
    return text if _VALUE.fullmatch(text) else None


def _add(fields: VpdFields, keyword: str, value: str) -> None:
    if fields.access is Access.READ_ONLY and keyword in _WORDS:
        setattr(fields, _WORDS[keyword], value)
    elif fields.access is Access.READ_WRITE and keyword == "YA":
        fields.asset_tag = value
    elif keyword[0] == "V":
        fields.vendor_fields.append(VendorField(index=keyword[1], value=value))
    elif keyword[0] == "Y" and fields.access is Access.READ_WRITE:
        fields.system_fields.append(SystemField(index=keyword[1], value=value))
