"""Networks as they are defined, listed and forgotten; nothing is made on the host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vmherd.driver.network import NetworkDriver
from vmherd.driver.registry import lent
from vmherd.driver.uri import parse_uri
from vmherd.errors import NetworkNotFound, OperationFailed, VmherdError
from vmherd.events import NetworkEvent, NetworkLifecycle

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
