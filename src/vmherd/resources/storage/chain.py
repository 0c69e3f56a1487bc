"""What an image is based on, and how QEMU opens all of it without believing any file.

The header of an image may name any file of the host as its base, and QEMU would read it.  So a base must be a volume of
an active pool, and QEMU is told each file and each format; nothing is probed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from vmherd.errors import Denied, OperationFailed
from vmherd.util.files import on_host
from vmherd.util.imageheader import ImageHeader, header_of

#: As many images as QEMU's driver of libvirt lets stand on each other.
_DEEPEST = 200
_BASES = ("qcow", "qcow2", "qed")

#: Opens a file of a pool for reading; raises Denied for one that is in none.
Open = Callable[[Path], int]


class Layer(msgspec.Struct, frozen=True):
    """One image of a chain."""

    path: Path
    format: str
    header: ImageHeader


def layers(path: Path, format_: str, opener: Open) -> list[Layer]:
    """The image and all that it is based on.  Blocks.

    Raises Denied for a base that is not in a pool, or is told in a way that hides it; OperationFailed for an image that
    stands on itself, or on too many others.
    """
    found: list[Layer] = []
    seen: set[tuple[int, int]] = set()
    while True:
        layer, which = _layer(path, format_, opener)
        if which in seen or len(found) >= _DEEPEST:
            text = f"{found[0].path} is based on itself" if which in seen else f"more than {_DEEPEST} images in a chain"
            raise OperationFailed(text, hint="give it another base with 'qemu-img rebase -u'")
        seen.add(which)
        found.append(layer)
        if layer.format not in _BASES or not layer.header.backing:
            return found
        path, format_ = _base(layer, layer.header.backing)


def _layer(path: Path, format_: str, opener: Open) -> tuple[Layer, tuple[int, int]]:
    with on_host(f"read {path}"):
        fd = opener(path)
        try:
            status, header = os.fstat(fd), header_of(fd)
        finally:
            os.close(fd)
    if format_ != "raw" and header.format != format_:
        raise OperationFailed(f"{path} is no {format_} image", hint="refresh its pool, then look at its format")
    if format_ != "raw" and header.others:
        text = f"the content of {path} is in other files"
        raise Denied(text, hint="convert it with 'qemu-img convert' where you trust it")
    return Layer(path, format_, header), (status.st_dev, status.st_ino)


def _base(layer: Layer, name: str) -> tuple[Path, str]:
    """Where the base of an image is, and its format."""
    if ":" in name.split("/", 1)[0]:
        text = f"{layer.path} is based on {name!r}, which is no file"
        raise Denied(text, hint="convert it with 'qemu-img convert' where you trust it")
    path = Path(os.path.normpath(layer.path.parent / name))
    if not layer.header.backing_format:
        hint = f"tell it: qemu-img rebase -u -b {name} -F FORMAT {layer.path}"
        raise Denied(f"{layer.path} does not say of which format its base {path} is", hint=hint)
    return path, layer.header.backing_format


def as_json(found: list[Layer], key: str = "") -> str:
    """How QEMU opens a chain; ``key`` is the object with the passphrase of the first image."""
    node: dict[str, Any] | None = None
    for layer in reversed(found):
        # QEMU's file driver would take a disk for a file with a warning.
        file = {"driver": "host_device" if layer.path.is_block_device() else "file", "filename": str(layer.path)}
        above: dict[str, Any] = {"driver": layer.format, "file": file}
        if layer.format in _BASES:
            above["backing"] = node
        node = above
    assert node is not None  # there is always the image itself
    if key and node["driver"] == "qcow2":
        node["encrypt"] = {"format": "luks", "key-secret": key}
    elif key:
        node |= {"driver": "luks", "key-secret": key}
    return "json:" + json.dumps(node)
