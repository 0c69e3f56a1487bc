"""Who owns a file or folder, and what may be done with it."""

from __future__ import annotations

from typing import Annotated

from vmherd.util.xmlmodel import Codec, Element, leaf

_NOBODY = (-1, 0xFFFFFFFF)


def _parse_mode(text: str) -> int:
    mode = int(text, 8)
    if not 0 <= mode <= 0o7777:
        raise ValueError(f"{text!r} is no file mode such as 0755")
    return mode


def _parse_id(text: str) -> int:
    number = int(text)
    if not -1 <= number <= 0xFFFFFFFF:
        raise ValueError(f"{text!r} is no user or group id")
    return -1 if number in _NOBODY else number


Mode = Annotated[int, Codec(_parse_mode, lambda mode: f"0{mode:o}")]
#: -1 is nobody in particular, which is not written.
Id = Annotated[int, Codec(_parse_id)]


class Permissions(Element, tag="permissions"):
    """Mode, user and group; what is absent stays as the system makes it."""

    mode: Mode | None = leaf()
    owner: Id = leaf(default=-1)
    group: Id = leaf(default=-1)
    label: str | None = leaf()
