"""Networks in a few words: what document they expand to, and which ranges are free."""

from __future__ import annotations

import pytest

from vmherd.conf.network.forward import ForwardMode
from vmherd.errors import InvalidArgument
from vmherd.guest.network import NetworkSpec, addresses_of, free_range


@pytest.mark.parametrize(
    ("spec", "wanted", "unwanted"),
    [
        (
            NetworkSpec(name="a", addresses=("10.0.5.0/24",), domain="lab.test"),
            [
                "<forward mode='nat'/>",
                "<ip address='10.0.5.1' prefix='24'>",
                "<range start='10.0.5.2' end='10.0.5.254'/>",
                "<domain name='lab.test' localOnly='yes'/>",
            ],
            [],
        ),
        (
            NetworkSpec(name="a", addresses=("10.0.5.200/24", "fd00:5::/64")),
            [
                "<range start='10.0.5.1' end='10.0.5.199'/>",
                "<nat ipv6='yes'/>",
                "<range start='fd00:5::2' end='fd00:5::ffff'/>",
            ],
            [],
        ),
        (NetworkSpec(name="a", addresses=("10.0.5.0/30",)), ["<range start='10.0.5.2' end='10.0.5.2'/>"], []),
        (NetworkSpec(name="a", addresses=("10.0.5.0/24",), dhcp=False), ["<ip address='10.0.5.1'"], ["<dhcp>"]),
        (NetworkSpec(name="a", mode=ForwardMode.NONE, private=True), ["<port isolated='yes'/>"], ["<forward", "<ip"]),
        (
            NetworkSpec(name="a", mode=ForwardMode.ROUTE, interface="eth0", addresses=("10.0.5.0/24",)),
            ["<interface dev='eth0'/>"],
            ["<nat"],
        ),
        (NetworkSpec(name="a", mode=ForwardMode.BRIDGE, bridge="br0"), ["<bridge name='br0'/>"], ["<interface"]),
        (
            NetworkSpec(name="a", mode=ForwardMode.BRIDGE, interface="eth0", vlan=7),
            ["<interface dev='eth0'/>", "<tag id='7'/>"],
            ["<bridge"],
        ),
    ],
)
def test_a_few_words_are_a_network(spec: NetworkSpec, wanted: list[str], unwanted: list[str]) -> None:
    document = spec.document()
    assert all(each in document for each in wanted), document
    assert not any(each in document for each in unwanted), document


@pytest.mark.parametrize("text", ["10.0.5.0/31", "10.0.5", "10.0.5.0/33", "fd00::/127", "lab"])
def test_a_range_without_room_for_guests_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"no range|no room"):
        NetworkSpec(name="a", addresses=(text,)).document()


def test_a_free_range_is_one_that_no_network_is_in() -> None:
    assert free_range([]) == "192.168.123.0/24"
    taken = ["192.168.123.1/24", "192.168.124.77/30", "192.168.125.1/22", "fd00::1/64"]
    assert free_range(taken) == "192.168.128.0/24"
    with pytest.raises(InvalidArgument, match="no range"):
        free_range(["192.168.0.1/16"])
    assert addresses_of(NetworkSpec(name="a", addresses=("10.0.5.0/24",)).document()) == ["10.0.5.1/24"]
