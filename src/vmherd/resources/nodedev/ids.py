"""Names of makers and models, from the lists pci.ids and usb.ids where they are installed.

Source: pci.ids(5): a line "vvvv  Name" for a maker, below it "\\tdddd  Name" for each of its models.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_FOLDERS = (Path("/usr/share/misc"), Path("/usr/share/hwdata"), Path("/var/lib/usbutils"))


class Names(NamedTuple):
    vendor: str | None = None
    product: str | None = None


@lru_cache(maxsize=4096)
def names(listing: str, vendor: int, product: int) -> Names:
    """What ``listing``, such as pci.ids, calls a maker and its model."""
    text = _read(listing)
    start = text.find(b"\n%04x  " % vendor)
    if start < 0:
        return Names()
    first, *rest = text[start + 1 :].split(b"\n", 20_000)[:20_000]
    return Names(_name(first), _model(rest, b"\t%04x  " % product))


def _model(lines: list[bytes], wanted: bytes) -> str | None:
    for line in lines:
        if line.startswith(wanted):
            return _name(line)
        if not line.startswith((b"\t", b"#")):
            break
    return None


def _name(line: bytes) -> str:
    return line.decode(errors="replace").partition("  ")[2].strip()


def _read(listing: str) -> bytes:
    for folder in _FOLDERS:
        try:
            return (folder / listing).read_bytes()
        except OSError:
            continue
    return b""
