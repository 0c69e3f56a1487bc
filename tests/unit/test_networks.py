"""Networks as they are defined, listed and forgotten; nothing is made on the host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vmherd.conf.network import parse_network
from vmherd.driver.network import NetworkDriver, UpdateCommand, UpdateSection
from vmherd.driver.registry import lent
from vmherd.driver.types import LIVE
from vmherd.driver.uri import parse_uri
from vmherd.errors import HostError, InvalidState, NetworkNotFound, OperationFailed, Unsupported, VmherdError
from vmherd.events import NetworkEvent, NetworkLifecycle
from vmherd.resources.network import dnsmasq, firewall, leases

IP = "<ip address='10.0.{}.1' netmask='255.255.255.0'/>"


def network(name: str, more: str = "", number: int = 1) -> str:
    return f"<network><name>{name}</name>{more}{IP.format(number)}</network>"


@pytest.fixture
async def networks(tmp_path: Path) -> AsyncIterator[NetworkDriver]:
    async with lent(NetworkDriver, parse_uri(f"test:///embed?root={tmp_path}")) as driver:
        yield driver


async def test_a_bridge_gets_a_name_and_an_address_that_are_kept(networks: NetworkDriver) -> None:
    first = await networks.network_define(network("one"))
    second = await networks.network_define(network("two"))
    text = await networks.network_xml(first.uuid)
    again = await networks.network_define(text)
    assert again == first
    assert await networks.network_xml(first.uuid) == text
    assert first.bridge.startswith("virbr")
    assert second.bridge.startswith("virbr")
    assert first.bridge != second.bridge
    assert "<mac address='52:54:00:" in text
    assert [info.name for info in await networks.network_list()] == ["one", "two"]


async def test_a_name_a_uuid_and_a_bridge_are_one_networks(networks: NetworkDriver) -> None:
    one = await networks.network_define(network("one", "<bridge name='br1'/>"))
    for refused in (
        network("one", "<uuid>11111111-1111-4111-8111-111111111111</uuid>"),
        network("two", f"<uuid>{one.uuid}</uuid>"),
        network("two", "<bridge name='br1'/>"),
    ):
        with pytest.raises(OperationFailed, match=r"already"):
            await networks.network_define(refused)
    assert [info.name for info in await networks.network_list()] == ["one"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (network("n", "<bridge name='a-name-too-long-'/>"), "too long"),
        (network("n", "<bridge name='a b'/>"), "cannot be the name"),
        (network("n", "<forward mode='private' dev='eth0'/>"), "Unsupported <ip>"),
        (network("n", "<vlan><tag id='7'/></vlan>"), "vlan"),
        ("<network><name>n</name><forward mode='hostdev'/></network>", "needs devices"),
        (network("n", "<portgroup name='a' default='yes'/><portgroup name='b' default='yes'/>"), "multiple default"),
        (
            f"<network><name>n</name>{IP.format(1)[:-2]}><dhcp><range start='10.0.1.2' end='10.0.1.9'/></dhcp></ip>"
            f"{IP.format(2)[:-2]}><dhcp><range start='10.0.2.2' end='10.0.2.9'/></dhcp></ip></network>",
            "dhcp",
        ),
    ],
)
async def test_what_cannot_be_had_is_refused_when_it_is_defined(
    document: str, words: str, networks: NetworkDriver
) -> None:
    with pytest.raises(VmherdError, match=words):
        await networks.network_define(document)
    assert await networks.network_list() == []


async def test_definitions_come_and_go_with_events(networks: NetworkDriver) -> None:
    async with await networks.events() as heard:
        info = await networks.network_define(network("one"))
        await networks.network_set_autostart(info.uuid, True)
        assert (await networks.network_find("one")).autostart
        await networks.network_undefine(info.uuid)
        with pytest.raises(NetworkNotFound):
            await networks.network_find("one")
        told = [await anext(heard) for _ in range(2)]
    events = [(each.name, each.event) for each in told if isinstance(each, NetworkEvent)]
    assert events == [("one", NetworkLifecycle.DEFINED), ("one", NetworkLifecycle.UNDEFINED)]


def rules(forward: str, more: str = "") -> str:
    """What nft is told of a network, with its chains by short names."""
    text = f"<uuid>11111111-1111-4111-8111-111111111111</uuid>{forward}<bridge name='br1'/>{more}"
    return firewall.add(parse_network(network("one", text))).replace("11111111111141118111111111111111", "X")


@pytest.mark.parametrize(
    ("forward", "rule"),
    [
        ("<forward mode='nat'/>", "nat4_X meta l4proto { tcp, udp } masquerade to :1024-65535"),
        ("<forward mode='nat'><nat><port start='500' end='600'/></nat></forward>", "masquerade to :500-600"),
        (
            "<forward mode='nat'><nat><address start='192.0.2.1' end='192.0.2.9'/></nat></forward>",
            "nat4_X meta l4proto { tcp, udp } snat ip to 192.0.2.1-192.0.2.9:1024-65535",
        ),
        ("<forward mode='nat' dev='eth7'/>", 'in_X iifname "eth7" ip daddr 10.0.1.0/24 ct state established,related'),
        ("<forward mode='route'/>", "in_X ip daddr 10.0.1.0/24 return"),
        ("", 'out_X oifname "br1" meta nfproto ipv4 accept'),
    ],
)
def test_rules_say_what_the_document_says(forward: str, rule: str) -> None:
    assert rule in rules(forward)


def test_ipv6_is_translated_only_where_that_is_wanted() -> None:
    six = "<ip family='ipv6' address='fd00::1' prefix='64'/>"
    plain, wanted = "<forward mode='nat'/>", "<forward mode='nat'><nat ipv6='yes'/></forward>"
    assert "nat6" not in rules(plain, six)
    assert "in_X ip6 daddr fd00::/64 return" in rules(plain, six)
    assert "nat6 { fd00::/64 : jump nat6_X }" in rules(wanted, six)
    assert rules("<forward mode='open'/>") == ""


def test_leases_are_told_with_what_the_file_of_dnsmasq_has(tmp_path: Path) -> None:
    (tmp_path / "leases").write_text(
        "4102444800 52:54:00:00:00:01 10.0.1.7 web 01:52:54:00:00:00:01\n"
        "0 52:54:00:00:00:02 10.0.1.8 * *\n"
        "1000 52:54:00:00:00:03 10.0.1.9 old *\n"
        "duid 00:01:00:01:2a:2b:2c:2d:52:54:00:ff:ff:ff\n"
        "4102444800 1234 fd00::7 six 00:03:00:01:52:54:00:00:00:04\n"
        "4102444800 T1235 fd00::8 * 00:02:00:00:ab:11:01\n"
    )
    own = parse_network(network("one", "<bridge name='br1'/><ip family='ipv6' address='fd00::1' prefix='64'/>"))
    found = leases.read(tmp_path / "leases", own)
    told = [(each.mac, each.address, each.prefix, each.hostname, each.client_id, each.iaid) for each in found]
    assert told == [
        ("52:54:00:00:00:01", "10.0.1.7", 24, "web", "01:52:54:00:00:00:01", ""),
        ("52:54:00:00:00:02", "10.0.1.8", 24, "", "", ""),
        ("52:54:00:00:00:04", "fd00::7", 64, "six", "00:03:00:01:52:54:00:00:00:04", "1234"),
        ("", "fd00::8", 64, "", "00:02:00:00:ab:11:01", "1235"),
    ]
    assert [each.hostname for each in leases.read(tmp_path / "leases", own, "52:54:00:00:00:01")] == ["web"]


async def test_only_an_active_network_stops(networks: NetworkDriver) -> None:
    info = await networks.network_define(network("one"))
    with pytest.raises(InvalidState, match="not active"):
        await networks.network_stop(info.uuid)


async def test_a_definition_is_changed_by_the_section(networks: NetworkDriver) -> None:
    info = await networks.network_define(network("one"))
    add, host = UpdateCommand.ADD_LAST, "<host mac='52:54:00:00:00:01' name='web' ip='10.0.1.7'/>"
    await networks.network_update(info.uuid, add, UpdateSection.IP_DHCP_HOST, -1, host)
    assert "name='web'" in await networks.network_xml(info.uuid)
    with pytest.raises(InvalidState, match="already"):
        await networks.network_update(info.uuid, add, UpdateSection.IP_DHCP_HOST, -1, host)
    with pytest.raises(InvalidState, match="not running"):
        await networks.network_update(info.uuid, add, UpdateSection.DNS_TXT, -1, "<txt name='a' value='b'/>", LIVE)


async def test_networks_of_cards_of_the_host_are_just_switched(networks: NetworkDriver) -> None:
    for mode in ("private", "vepa", "passthrough", "bridge"):
        text = f"<network><name>{mode}</name><forward mode='{mode}'><interface dev='nosuch0'/></forward></network>"
        info = await networks.network_create(text)
        assert (info.active, info.forward, info.bridge) == (True, mode, "")
        with pytest.raises(InvalidState, match="already active"):
            await networks.network_start(info.uuid)
        await networks.network_stop(info.uuid)
    functions = "<network><name>vf</name><forward mode='hostdev'><pf dev='nosuch0'/></forward></network>"
    with pytest.raises(HostError, match="no virtual functions"):
        await networks.network_create(functions)
    assert await networks.network_list() == []


@pytest.mark.parametrize(
    "more",
    [
        "<dns><txt name='a' value='b&#10;conf-script=/bin/false'/></dns>",
        "<domain name='a&#10;user=root'/>",
        "<dns><host ip='10.0.1.5'><hostname>a\nb</hostname></host></dns>",
    ],
)
def test_no_value_becomes_another_setting_of_dnsmasq(more: str) -> None:
    found = parse_network(network("one", f"<bridge name='br1'/>{more}"))
    with pytest.raises(Unsupported, match="line break"):
        dnsmasq.configuration(found, Path("/run/x")) + dnsmasq.additional_hosts_file(found)
