"""Bits, addresses and URIs: what people write and other programs print."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmherd.errors import InvalidArgument
from vmherd.util import addresses, bits, uri
from vmherd.util.xmlmodel import format_cpus, parse_numbers

NUMBERS = st.sets(st.integers(0, 300), max_size=40)


@given(NUMBERS)
def test_numbers_survive_every_notation(numbers: set[int]) -> None:
    assert bits.from_bytes(bits.to_bytes(numbers)) == numbers
    assert bits.from_hex(bits.to_hex(numbers)) == numbers
    if numbers:
        assert parse_numbers(format_cpus(numbers), 301) == numbers


def test_bytes_have_the_lowest_bit_first_and_room_for_all() -> None:
    assert bits.to_bytes({0, 9}, 24) == b"\x01\x02\x00"
    assert bits.to_hex({1, 8}) == "102"


@pytest.mark.parametrize("text", ["", "a", "3-1", "^", "1,,2", "20", "-1", "0-20"])
def test_what_is_no_set_below_twenty_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_numbers(text, 20)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("10.1", "10.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("::ffff:0a00:0001", "::ffff:10.0.0.1"),
    ],
)
def test_an_address_is_shown_in_its_canonical_form(text: str, shown: str) -> None:
    assert addresses.shown(addresses.parse(text)) == shown


@pytest.mark.parametrize("text", ["", "host", "[::1]", "1.2.3.4.5", "300.1.1.1", "::1::"])
def test_names_and_nonsense_are_no_addresses(text: str) -> None:
    assert not addresses.is_numeric(text)


def size(start: str, end: str, network: str = "") -> int:
    within = None
    if network:
        address, _, prefix = network.partition("/")
        within = addresses.network(addresses.parse(address), int(prefix))
    return addresses.range_size(addresses.parse(start), addresses.parse(end), within)


def test_a_range_counts_both_ends() -> None:
    assert size("10.0.0.5", "10.0.0.5") == 1
    assert size("10.0.0.250", "10.0.1.5") == 12
    assert size("fd00::10", "fd00::1f", "fd00::/64") == 16


@pytest.mark.parametrize(
    ("start", "end", "network", "why"),
    [
        ("10.0.0.9", "10.0.0.1", "", "falls"),
        ("10.0.0.1", "10.1.0.1", "", "too large"),
        ("10.0.0.1", "fd00::1", "", "mixes"),
        ("10.0.0.1", "10.0.0.9", "10.1.0.0/24", "not in the network"),
        ("10.0.0.0", "10.0.0.9", "10.0.0.1/24", "address of the network itself"),
        ("10.0.0.1", "10.0.0.255", "10.0.0.1/24", "broadcast"),
    ],
)
def test_a_range_that_cannot_be_is_refused_with_the_reason(start: str, end: str, network: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        size(start, end, network)


@pytest.mark.parametrize(
    "text",
    [
        "qemu:///system",
        "qemu+ssh://ann@host.example:2222/system?no_tty=1&command=%2Fopt%2Fssh",
        "test://[fd00::1]:16509/default#there",
        "esx://host/?transport=http",
    ],
)
def test_a_uri_comes_back_from_its_parts(text: str) -> None:
    assert uri.text_of(uri.parse(text)) == text


def test_a_uri_is_taken_apart() -> None:
    found = uri.parse("xen+tls://ann@[fd00::1]:99/a?b=%26c;=d&e")
    assert (found.scheme, found.user, found.server, found.port, found.path) == ("xen+tls", "ann", "fd00::1", 99, "/a")
    assert found.params == [("b", "&c"), ("e", "")]


@pytest.mark.parametrize("text", ["a b://c", "x://h:99999/", "x://[::1/", "x://h/%zz", "\x00"])
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="bad URI"):
        uri.parse(text)
