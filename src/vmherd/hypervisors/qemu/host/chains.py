"""The images below an image that its document does not tell, and that QEMU finds by itself: read from their headers.

Only a format that is told is believed: a guest can write any header into a raw disk.  Of an image below, that is what
the image above says of it.  Source: virStorageSourceGetMetadata of libvirt; QEMU's docs/interop/qcow2.txt
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from vmherd.errors import HostError
from vmherd.util.imageheader import read_header

#: Images that a chain may have, as libvirt allows.
_MOST = 200
_LAYERED = ("qcow", "qcow2")


def below(path: Path, form: str) -> Iterator[Path]:
    """The files and devices of this host below an image, from the top down.

    What cannot be read is the end, as it is for QEMU.  Raises HostError for a chain that goes round or never ends.
    """
    seen = {path}
    while form in _LAYERED:
        try:
            header = read_header(path)
        except OSError:
            return
        found = _local(header.backing or "", path)
        if header.format not in _LAYERED or found is None:
            return
        if found in seen or len(seen) > _MOST:
            raise HostError(f"the images below {path} never end", hint="'qemu-img info --backing-chain' shows them")
        seen.add(found)
        yield found
        path, form = found, header.backing_format


def _local(name: str, above: Path) -> Path | None:
    """The file that a backing name means; None where it is none of this host."""
    if name.startswith("json:"):
        name = _in_json(name.removeprefix("json:"))
    name = name.removeprefix("file:")
    if not name or (":" in name and not name.startswith(("/", "."))):
        return None
    return above.parent / name


def _in_json(text: str) -> str:
    try:
        told = json.loads(text)
        while isinstance(told.get("file"), dict):
            told = told["file"]
        name = told.get("filename", told.get("file.filename", ""))
    except (ValueError, AttributeError):
        return ""
    return name if isinstance(name, str) else ""
