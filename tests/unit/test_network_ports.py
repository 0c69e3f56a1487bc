"""Ports of networks: the places that cards get, and what cards are there.  None of these networks touches the host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from hardware import server
from vmherd.conf.domain import parse_domain
from vmherd.conf.domain.net import Interface
from vmherd.conf.network import parse_network, parse_port
from vmherd.driver.network import NetworkDriver
from vmherd.driver.registry import lent
from vmherd.driver.uri import parse_uri
from vmherd.errors import AlreadyExists, HostError, InvalidArgument, InvalidState, NetworkPortNotFound, VmherdError
from vmherd.hypervisors.qemu.cards import ports
from vmherd.hypervisors.qemu.host import functions, openvswitch
from vmherd.resources.network import pool
from vmherd.util.xmlmodel import parse, render

PORT = """
<networkport><uuid>{uuid}</uuid><owner><name>web</name><uuid>11111111-2222-4333-8444-555555555555</uuid></owner>
  {more}<mac address='52:54:00:00:00:01'/>{rest}</networkport>
"""
SWITCH = """
<network><name>net</name><forward mode='bridge'/><bridge name='ovs0'/>
  <virtualport type='openvswitch'><parameters profileid='p'/></virtualport>
  <portgroup name='plain' default='yes'><vlan><tag id='4'/></vlan></portgroup>
  <portgroup name='quick' trustGuestRxFilters='yes'><vlan><tag id='5'/></vlan>
    <bandwidth><inbound average='100' peak='200'/></bandwidth>
    <virtualport><parameters interfaceid='6a3d2f54-97a1-4ab4-8ac5-2f8f3c1c55a1'/></virtualport></portgroup>
</network>
"""
DIRECT = "<network><name>net</name><forward mode='{}'><interface dev='a'/><interface dev='b'/></forward></network>"
FUNCTIONS = """
<network><name>net</name><forward mode='hostdev' managed='yes'><driver name='vfio'/>
  <address type='pci' domain='0' bus='1' slot='0x10' function='0'/></forward></network>
"""


@pytest.fixture
async def networks(tmp_path: Path) -> AsyncIterator[NetworkDriver]:
    async with lent(NetworkDriver, parse_uri(f"qemu:///embed?root={tmp_path}")) as driver:
        yield driver


async def active(networks: NetworkDriver, text: str) -> str:
    found = (await networks.network_define(text)).uuid
    await networks.network_start(found)
    return found


async def made(networks: NetworkDriver, network: str, more: str = "", rest: str = "") -> str:
    """The document of a new port, in one line."""
    uuid = str(uuid4())
    await networks.port_create(network, PORT.format(uuid=uuid, more=more, rest=rest))
    return "".join(line.strip() for line in (await networks.port_xml(network, uuid)).splitlines())


async def test_what_a_port_does_not_say_its_group_and_its_network_do(networks: NetworkDriver) -> None:
    net = await active(networks, SWITCH)
    plain = await made(networks, net)
    assert "<vlan><tag id='4'/></vlan>" in plain
    assert "profileid='p'" in plain
    assert "interfaceid='" in plain
    assert "<plug type='bridge' bridge='ovs0'/>" in plain
    quick = await made(networks, net, "<group>quick</group>", "<vlan><tag id='9'/></vlan>")
    assert "<vlan><tag id='9'/></vlan>" in quick
    assert "<inbound average='100' peak='200'/>" in quick
    assert "interfaceid='6a3d2f54-97a1-4ab4-8ac5-2f8f3c1c55a1' profileid='p'" in quick
    assert "<rxfilters trustGuest='yes'/>" in quick


@pytest.mark.parametrize(
    ("more", "rest", "words"),
    [
        ("<group>none</group>", "", "no portgroup 'none'"),
        ("", "<virtualport type='802.1Qbh'><parameters profileid='p'/></virtualport>", "different types"),
        ("", "<virtualport type='openvswitch'><parameters profileid='q'/></virtualport>", "different profileids"),
        ("", "<bandwidth><inbound average='1' floor='1'/></bandwidth>", "has no inbound QoS set"),
        ("", "<plug type='bridge' bridge='br0'/>", "plug type is not none"),
    ],
)
async def test_what_a_network_does_not_have_is_refused(
    more: str, rest: str, words: str, networks: NetworkDriver
) -> None:
    net = await active(networks, SWITCH)
    with pytest.raises(VmherdError, match=words):
        await made(networks, net, more, rest)
    assert await networks.port_list(net) == []


async def test_cards_of_the_host_are_shared_evenly_or_not_at_all(networks: NetworkDriver) -> None:
    net = await active(networks, DIRECT.format("vepa"))
    found = [await made(networks, net) for _ in range(3)]
    assert [f"dev='{name}' mode='vepa'" in text for name, text in zip("aba", found, strict=True)] == [True] * 3
    await networks.port_delete(net, parse_port(found[0]).uuid)
    await networks.port_delete(net, parse_port(found[2]).uuid)
    assert "dev='a'" in await made(networks, net)
    await networks.network_stop(net)
    await networks.network_define(DIRECT.format("passthrough").replace("<name>", f"<uuid>{net}</uuid><name>"))
    await networks.network_start(net)
    assert await networks.port_list(net) == []
    assert ["dev='a'" in await made(networks, net), "dev='b'" in await made(networks, net)] == [True] * 2
    with pytest.raises(HostError, match="requires exclusive access"):
        await made(networks, net)


async def test_a_port_is_one_and_goes_with_its_network(networks: NetworkDriver) -> None:
    net = await active(networks, SWITCH)
    uuid = parse_port(await made(networks, net)).uuid
    with pytest.raises(AlreadyExists):
        await networks.port_create(net, PORT.format(uuid=uuid, more="", rest=""))
    await networks.port_set_params(net, uuid, {"outbound.average": 70, "outbound.burst": 7})
    assert await networks.port_params(net, uuid) == {
        "outbound.average": 70,
        "outbound.peak": 0,
        "outbound.burst": 7,
    }
    with pytest.raises(InvalidArgument, match=r"outbound\.floor"):
        await networks.port_set_params(net, uuid, {"outbound.floor": 70})
    await networks.network_stop(net)
    with pytest.raises(InvalidState, match="not active"):
        await networks.port_list(net)
    with pytest.raises(NetworkPortNotFound):
        await networks.port_xml(net, uuid)


async def test_a_card_of_a_pool_of_functions_is_a_device_of_the_host(networks: NetworkDriver, tmp_path: Path) -> None:
    card = parse(
        Interface,
        "<interface type='network'><mac address='52:54:00:00:00:01'/><source network='net'/><model type='virtio'/>"
        "<driver queues='4'/></interface>",
    )
    ports.take_over(card, parse_port(await made(networks, await active(networks, FUNCTIONS))))
    text = render(card)
    assert "<interface type='hostdev' managed='yes'>" in text
    assert "<driver name='vfio'/>" in text
    assert "<address type='pci' domain='0x0000' bus='0x01' slot='0x10' function='0x0'/>" in text
    server(tmp_path / "host")
    found = functions.find(card, tmp_path / "host/sys")
    assert found == functions.Function("enp1s0", 0)
    assert functions.wanted(card) == functions.Settings("52:54:00:00:00:01")
    assert card.source
    assert card.source.host_address
    card.source.host_address.bus = 0  # the bridge before it
    card.source.host_address.slot = 1
    with pytest.raises(HostError, match=r"0000:00:01\.0 is no virtual function"):
        functions.find(card, tmp_path / "host/sys")


def test_the_functions_of_a_card_are_found(tmp_path: Path) -> None:
    server(tmp_path / "host")
    (tmp_path / "host/sys/class/net/enp1s0/device").symlink_to(tmp_path / "host/sys/bus/pci/devices/0000:01:00.0")
    text = "<network><name>n</name><forward mode='hostdev'><pf dev='{}'/></forward></network>"
    found = pool.functions(parse_network(text.format("enp1s0")), tmp_path / "host/sys")
    assert [pool.pci_name(each) for each in found] == ["0000:01:10.0"]
    with pytest.raises(HostError, match="no virtual functions"):
        pool.functions(parse_network(text.format("br0")), tmp_path / "host/sys")


def test_open_vswitch_is_told_what_controllers_look_for() -> None:
    card = parse(
        Interface,
        "<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='ovs0'/>"
        "<vlan trunk='yes'><tag id='5' nativeMode='tagged'/><tag id='6'/></vlan><virtualport type='openvswitch'>"
        "<parameters interfaceid='6a3d2f54-97a1-4ab4-8ac5-2f8f3c1c55a1' profileid='p'/></virtualport>"
        "<target dev='vnet3'/></interface>",
    )
    domain = parse_domain("<domain type='qemu'><name>a</name><memory>1</memory><os><type>hvm</type></os></domain>")
    assert " ".join(openvswitch.arguments(domain, card)) == (
        "-- --if-exists del-port vnet3 -- add-port ovs0 vnet3 vlan_mode=native-tagged tag=5 trunk=5,6"
        ' -- set Interface vnet3 external-ids:attached-mac="52:54:00:00:00:01"'
        ' -- set Interface vnet3 external-ids:iface-id="6a3d2f54-97a1-4ab4-8ac5-2f8f3c1c55a1"'
        ' -- set Interface vnet3 external-ids:port-profile="p"'
        ' -- set Interface vnet3 external-ids:iface-status="active"'
    )
