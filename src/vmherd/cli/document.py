"""Documents that come in files."""

from __future__ import annotations

from typing import BinaryIO, cast

import click

from vmherd.errors import InvalidArgument

#: Bytes; documents of real guests have some thousand.
_LARGEST = 16 << 20


def text_of(file: BinaryIO) -> str:
    """All of a file.  Raises InvalidArgument if it is no text, or far too long."""
    text = file.read(_LARGEST + 1)
    if len(text) > _LARGEST:
        raise InvalidArgument(f"{file.name} is larger than {_LARGEST >> 20} MiB: no document")
    try:
        return text.decode()
    except UnicodeDecodeError as problem:
        raise InvalidArgument(f"{file.name} is no UTF-8 text: {problem.reason} at byte {problem.start}") from None


def text_at(path: str) -> str:
    """All of the file at ``path``; "-" is standard input.  As ``text_of``."""
    with click.open_file(path, "rb") as file:
        return text_of(cast("BinaryIO", file))
