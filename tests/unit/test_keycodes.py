"""Keys by the numbers of different worlds."""

from __future__ import annotations

import pytest

from vmherd.errors import InvalidArgument
from vmherd.util.keycodes import Codeset, NoSuchKey, by_name, qnum


@pytest.mark.parametrize(
    ("codeset", "a", "enter_of_the_number_pad"),
    [
        (Codeset.LINUX, 30, 96),
        (Codeset.XT, 0x1E, 0xE01C),
        (Codeset.ATSET1, 0x1E, 0xE01C),
        (Codeset.ATSET2, 0x1C, 0xE05A),
        (Codeset.ATSET3, 0x1C, 0x79),
        (Codeset.OS_X, 0, 0x4C),
        (Codeset.XT_KBD, 0x1E, 0x11C),
        (Codeset.USB, 4, 0x58),
        (Codeset.WIN32, 0x41, None),
        (Codeset.QNUM, 0x1E, 0x9C),
    ],
)
def test_each_set_has_its_numbers(codeset: Codeset, a: int, enter_of_the_number_pad: int | None) -> None:
    assert qnum(codeset, a) == 0x1E
    if enter_of_the_number_pad is not None:
        assert qnum(codeset, enter_of_the_number_pad) == 0x9C


def test_keys_have_names_and_what_is_none_is_said_to_be_none() -> None:
    assert (by_name("KEY_A"), by_name("key_f12"), by_name("0x1e"), by_name("30")) == (30, 88, 30, 30)
    with pytest.raises(InvalidArgument, match="KEY_OF_G"):
        by_name("KEY_OF_G")
    with pytest.raises(NoSuchKey, match="cannot translate keycode 255 of atset3 codeset"):
        qnum(Codeset.ATSET3, 255)
