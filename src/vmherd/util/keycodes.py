"""Keys of keyboards: from the numbers of one world to those of another, and by name.

The table beside has what Linux calls them (input-event-codes.h), with the numbers of AT keyboards, USB's HID usages,
macOS and Windows, each against QEMU's ("qnum": the scancode of set 1, with its top bit for an extended one).
Source: virKeycodeSet (include/libvirt/libvirt-domain.h), whose numbers ``Codeset`` has
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache

from vmherd.errors import InvalidArgument, VmherdError


class Codeset(IntEnum):
    """Whose numbers; ``virsh send-key --codeset`` has the same names."""

    LINUX = 0
    XT = 1
    ATSET1 = 2
    ATSET2 = 3
    ATSET3 = 4
    OS_X = 5
    XT_KBD = 6
    USB = 7
    WIN32 = 8
    QNUM = 9

    @property
    def label(self) -> str:
        return self.name.lower()


class NoSuchKey(VmherdError):
    """The number means no key; VIR_ERR_INTERNAL_ERROR, as libvirt has it."""


#: What stands before the scancode of an extended key.
_PREFIX = {Codeset.XT: 0xE000, Codeset.ATSET1: 0xE000, Codeset.XT_KBD: 0x100}
_COLUMNS = (Codeset.LINUX, Codeset.QNUM, Codeset.ATSET2, Codeset.ATSET3, Codeset.OS_X, Codeset.USB, Codeset.WIN32)


def qnum(codeset: Codeset, code: int) -> int:
    """QEMU's number of a key.  Raises NoSuchKey."""
    if codeset is Codeset.QNUM:
        return code
    try:
        return _table(codeset)[code]
    except KeyError:
        text = f"cannot translate keycode {code} of {codeset.label} codeset to qnum keycode"
        raise NoSuchKey(text) from None


def by_name(word: str) -> int:
    """Linux's number of a key by its name, such as KEY_A, or by its number.  Raises InvalidArgument."""
    found = _names().get(word.upper())
    return number(word) if found is None else found


def number(word: str) -> int:
    """A key's number as a person writes it, such as 0x1e.  Raises InvalidArgument."""
    try:
        return int(word, 0)
    except ValueError:
        raise InvalidArgument(f"there is no key {word!r}", hint="they are named KEY_A, KEY_ENTER, ...") from None


def names() -> list[str]:
    return list(_names())


@cache
def _rows() -> list[list[str]]:
    from importlib import resources  # few commands have to do with keys

    text = (resources.files("vmherd.util") / "keycodes.txt").read_text()
    return [line.split() for line in text.splitlines() if not line.startswith("#")]


@cache
def _names() -> dict[str, int]:
    return {name: int(code, 16) for name, code, *_ in _rows() if name != "-"}


@cache
def _table(codeset: Codeset) -> dict[int, int]:
    """Every number of a set, with QEMU's."""
    if codeset in _PREFIX:
        scancodes = {int(row[2], 16) for row in _rows()}
        return {code & 0x7F | _PREFIX[codeset] * (code > 0x7F): code for code in scancodes}
    column = 1 + _COLUMNS.index(codeset)
    return {int(number, 16): int(row[2], 16) for row in _rows() for number in row[column].split(",") if number != "-"}
