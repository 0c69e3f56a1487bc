"""The value types of XML documents, as attributes and texts see them."""

from __future__ import annotations

import pytest

from vmherd.errors import DocumentError
from vmherd.util.xmlmodel import (
    CpuSet,
    Element,
    Hex,
    Hex4,
    Int,
    Long,
    Mac,
    Size,
    Switch,
    UInt,
    ULong,
    Uuid,
    YesNo,
    attr,
    leaf,
    parse,
    render,
    scale,
)


class Values(Element, tag="values"):
    int: Int | None = attr()
    uint: UInt | None = attr()
    long: Long | None = attr()
    ulong: ULong | None = attr()
    plain: float | None = attr()
    hex: Hex | None = attr()
    hex4: Hex4 | None = attr()
    switch: Switch | None = attr()
    yes: YesNo | None = attr()
    mac: Mac | None = attr()
    uuid: Uuid | None = attr()
    cpus: CpuSet | None = attr()
    size: Size | None = leaf()
    count: UInt | None = leaf()


def read(name: str, text: str) -> object:
    return getattr(parse(Values, f"<values {name}='{text}'/>"), name)


def rewritten(name: str, text: str) -> str:
    return render(parse(Values, f"<values {name}='{text}'/>")).split("'")[1]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("int", "-2147483648", -(2**31)),
        ("int", "007", 7),
        ("uint", "4294967295", 2**32 - 1),
        ("long", "-9223372036854775808", -(2**63)),
        ("ulong", "18446744073709551615", 2**64 - 1),
        ("plain", "-1.5e3", -1500.0),
        ("hex", "0x1F", 31),
        ("hex", "31", 31),
        ("hex", "010", 8),
        ("hex", "0", 0),
        ("switch", "on", True),
        ("switch", "off", False),
        ("yes", "yes", True),
        ("yes", "no", False),
        ("mac", "52:54:0:AB:cd:1", "52:54:00:ab:cd:01"),
        ("uuid", "C7A5FDBDEDAF9455926AD65C16DB1809", "c7a5fdbd-edaf-9455-926a-d65c16db1809"),
        ("cpus", "0-3,^2,8", (0, 1, 3, 8)),
        ("cpus", "4, 2 ,2", (2, 4)),
        ("cpus", "^2,2", (2,)),
        ("cpus", "16383", (16383,)),
    ],
)
def test_good_text_is_read(name, text, value):
    assert read(name, text) == value


@pytest.mark.parametrize(
    ("name", "text", "written"),
    [
        ("int", "-07", "-7"),
        ("plain", "1.50", "1.5"),
        ("hex", "31", "0x1f"),
        ("hex4", "5", "0x0005"),
        ("hex4", "0x12345", "0x12345"),
        ("switch", "on", "on"),
        ("yes", "no", "no"),
        ("cpus", "8,0-3,^2", "0-1,3,8"),
        ("cpus", "0-3,4-5", "0-5"),
    ],
)
def test_values_are_written_in_one_form(name, text, written):
    assert rewritten(name, text) == written


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("int", ["", "-", "--1", "+1", " 1", "1 ", "1_0", "１２", "²", "0x1", "1.0", "2147483648", "9" * 10**6]),
        ("uint", ["-1", "4294967296"]),
        ("long", ["9223372036854775808", "-9223372036854775809"]),
        ("ulong", ["18446744073709551616", "-1"]),
        ("plain", ["", "nan", "inf", "1_0", "1.", ".5", "１", "1e999", "9" * 400]),
        ("hex", ["", "0x", "0xg", "08", "-0x1", "0x１", "0b1", "0x1ffffffffffffffff", "1" * 10**5]),
        ("switch", ["", "On", "yes", "1"]),
        ("yes", ["", "on", "true"]),
        ("mac", ["", "52:54:00:12:34", "52:54:00:12:34:567", "52-54-00-12-34-56", "52:54:00:12:34:5g"]),
        ("uuid", ["", "c7a5fdbd", "g7a5fdbd-edaf-9455-926a-d65c16db1809", "c7a5fdbdedaf9455926ad65c16db18091"]),
        ("cpus", ["", ",", "1,", "a", "3-1", "-1", "1-", "^1-2", "0-1,^0,^1", "１", "16384", "0-4294967295", "9" * 30]),
    ],
)
def test_bad_text_is_refused(name, texts):
    for text in texts:
        with pytest.raises(DocumentError) as caught:
            read(name, text)
        assert caught.value.place == f"values/@{name}"
        assert len(str(caught.value)) < 250


def test_element_text_is_trimmed_for_what_is_not_str():
    assert parse(Values, "<values><count>\n  7\t</count></values>").count == 7
    with pytest.raises(DocumentError, match="values/count"):
        parse(Values, "<values><count>\u00a07</count></values>")


@pytest.mark.parametrize(
    ("units", "factor"),
    [
        (["b", "B", "byte", "bytes", "Bytes"], 1),
        (["k", "K", "KiB", "kib"], 1024),
        (["KB", "kb"], 1000),
        (["M", "MiB"], 1024**2),
        (["MB"], 1000**2),
        (["G", "GiB"], 1024**3),
        (["GB"], 1000**3),
        (["T", "TiB"], 1024**4),
        (["TB"], 1000**4),
        (["P", "PiB"], 1024**5),
        (["PB"], 1000**5),
        (["E", "EiB"], 1024**6),
        (["EB"], 1000**6),
    ],
)
def test_units_of_size_are_those_of_libvirt(units, factor):
    assert {scale(unit) for unit in units} == {factor}


def size(text: str, unit: str = "") -> int | None:
    attribute = f" unit='{unit}'" if unit else ""
    return parse(Values, f"<values><size{attribute}>{text}</size></values>").size


def test_a_size_without_unit_counts_in_the_unit_of_its_type():
    assert size("2") == 2048


def test_the_largest_size_is_just_below_8_eib():
    assert size("7", "EiB") == 7 * 2**60
    assert size("9007199254740991") == 2**63 - 1024


@pytest.mark.parametrize(
    ("text", "unit"),
    [("8", "EiB"), ("9007199254740992", ""), ("1", "KIBI"), ("1", " "), ("-1", ""), ("1.5", "GiB"), ("", "k")],
)
def test_a_size_too_large_or_misspelt_is_refused(text, unit):
    with pytest.raises(DocumentError, match="values/size"):
        size(text, unit)
