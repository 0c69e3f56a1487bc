"""Networks, filters, interfaces and devices over the wire of Debian's libvirtd: its test driver, and its real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

import pytest

from support.libvirtd import Libvirtd
from vmherd.api.aio import Host, connect
from vmherd.cli.app import run
from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.network import NetworkDriver, UpdateCommand, UpdateSection
from vmherd.driver.nodedev import NodeDeviceDriver
from vmherd.driver.resource import ResourceDriver
from vmherd.driver.storage import StorageDriver
from vmherd.driver.types import Scope
from vmherd.errors import (
    FilterNotFound,
    InterfaceNotFound,
    InvalidState,
    NetworkNotFound,
    NodeDeviceNotFound,
    NotFound,
    VmherdError,
)
from vmherd.events import (
    DeviceLifecycle,
    NetworkEvent,
    NetworkLifecycle,
    NodeDeviceEvent,
    PoolEvent,
    PoolLifecycle,
    PoolRefreshEvent,
    ResourceEvent,
    Subscription,
)

E = TypeVar("E", bound=ResourceEvent)

NETWORK = """<network><name>{}</name><forward mode='nat'/><bridge name='virbr7'/>
<ip address='10.7.0.1' netmask='255.255.255.0'><dhcp><range start='10.7.0.2' end='10.7.0.9'/></dhcp></ip></network>"""
FILTER = "<filter name='{}' chain='root'><rule action='drop' direction='in'><tcp dstportstart='25'/></rule></filter>"
INTERFACE = "<interface type='ethernet' name='eth7'><start mode='none'/><mac address='aa:bb:cc:dd:ee:07'/></interface>"
POOL = "<pool type='dir'><name>test-shelf</name><target><path>/shelf</path></target></pool>"
HBA = """<device><parent>scsi_host1</parent><capability type='scsi_host'><capability type='fc_host'>
<wwnn>2000000000000001</wwnn><wwpn>2000000000000002</wwpn></capability></capability></device>"""


@pytest.fixture
async def test_host(libvirtd: Libvirtd) -> AsyncIterator[Host]:
    """What libvirt's test driver has; the same for all tests, so they clean up."""
    async with await connect(libvirtd.uri("test:///default")) as host:
        yield host


@pytest.fixture
async def real_host(libvirtd: Libvirtd) -> AsyncIterator[Host]:
    async with await connect(libvirtd.uri()) as host:
        yield host


async def listening(host: Host, kind: type[ResourceDriver[ResourceEvent]]) -> Subscription[ResourceEvent]:
    driver: HypervisorDriver = host._driver
    return await (await driver.resource(kind)).events()


async def heard(subscription: Subscription[ResourceEvent], count: int) -> list[ResourceEvent]:
    async with asyncio.timeout(20):
        return [await anext(subscription) for _ in range(count)]


async def test_networks_of_the_test_driver_live_and_tell(test_host: Host) -> None:
    known = {info.name: info for info in await test_host.networks.list()}
    assert (known["default"].active, known["default"].bridge) == (True, "virbr0")
    async with await listening(test_host, NetworkDriver) as subscription:
        network = await test_host.networks.define(NETWORK.format("lab"))
        assert not (await network.info()).active
        assert (await network.info()).forward == "nat"
        await network.start()
        with pytest.raises(VmherdError):
            await network.start()
        await network.set_autostart(True)
        assert (await (await test_host.networks.find("lab")).info()).autostart
        assert "<range start='10.7.0.2' end='10.7.0.9'/>" in await network.xml()
        await network.stop()
        await network.undefine()
        told = await heard(subscription, 4)
    assert [(event.name, event.event) for event in told if isinstance(event, NetworkEvent)] == [
        ("lab", each)
        for each in (
            NetworkLifecycle.DEFINED,
            NetworkLifecycle.STARTED,
            NetworkLifecycle.STOPPED,
            NetworkLifecycle.UNDEFINED,
        )
    ]
    with pytest.raises(NetworkNotFound):
        await test_host.networks.find("lab")


async def test_a_part_of_a_network_is_changed_in_the_right_place(real_host: Host) -> None:
    network = await real_host.networks.define(NETWORK.format("parts"))
    try:
        host = "<host mac='52:54:00:00:00:07' name='seven' ip='10.7.0.7'/>"
        await network.update(UpdateCommand.ADD_LAST, UpdateSection.IP_DHCP_HOST, host, scope=Scope(config=True))
        assert host in await network.xml()
        await network.update(UpdateCommand.DELETE, UpdateSection.IP_DHCP_HOST, host, scope=Scope(config=True))
        assert host not in await network.xml()
        assert await network.leases() == []
        with pytest.raises(InvalidState):
            await network.ports.list()
    finally:
        await network.undefine()


async def test_filters_are_kept(real_host: Host) -> None:
    filter_ = await real_host.filters.define(FILTER.format("no-mail"))
    assert "no-mail" in [info.name for info in await real_host.filters.list()]
    assert (await real_host.filters.find("no-mail")).uuid == filter_.uuid
    assert "dstportstart='25'" in await (await real_host.filters.find(filter_.uuid)).xml()
    assert await real_host.filters.bindings.list() == []
    with pytest.raises(NotFound):
        await real_host.filters.bindings.info("vnet7")
    await filter_.undefine()
    with pytest.raises(FilterNotFound):
        await real_host.filters.find("no-mail")


async def test_interfaces_are_configured_or_put_back(test_host: Host) -> None:
    (first,) = [info for info in await test_host.interfaces.list() if info.active]
    assert (await test_host.interfaces.by_mac(first.mac)).name == first.name
    await test_host.interfaces.begin()
    with pytest.raises(InvalidState):
        await test_host.interfaces.begin()
    interface = await test_host.interfaces.define(INTERFACE)
    await interface.start()
    assert (await interface.info()).active
    assert "<mac address='aa:bb:cc:dd:ee:07'/>" in await interface.xml()
    await interface.stop()
    await test_host.interfaces.rollback()
    with pytest.raises(InterfaceNotFound):
        await test_host.interfaces.find("eth7")


async def test_devices_are_seen_made_and_removed(test_host: Host) -> None:
    devices = {info.name: info for info in await test_host.devices.list()}
    assert devices["computer"].parent == ""
    assert "scsi_host" in devices["scsi_host1"].capabilities
    assert "<name>computer</name>" in await (await test_host.devices.find("computer")).xml()
    with pytest.raises(NodeDeviceNotFound):
        await test_host.devices.find("nothing")
    async with await listening(test_host, NodeDeviceDriver) as subscription:
        made = await test_host.devices.create(HBA)
        await made.destroy()
        told = await heard(subscription, 2)
    assert [(event.name, event.event) for event in told if isinstance(event, NodeDeviceEvent)] == [
        (made.name, DeviceLifecycle.CREATED),
        (made.name, DeviceLifecycle.DELETED),
    ]


async def test_pools_of_the_test_driver_tell(test_host: Host) -> None:
    async with await listening(test_host, StorageDriver) as subscription:
        pool = await test_host.pools.define(POOL)
        await pool.start()
        await pool.refresh()
        await pool.stop()
        await pool.undefine()
        told = await heard(subscription, 5)
    assert [getattr(event, "event", PoolRefreshEvent) for event in told] == [
        PoolLifecycle.DEFINED,
        PoolLifecycle.STARTED,
        PoolRefreshEvent,
        PoolLifecycle.STOPPED,
        PoolLifecycle.UNDEFINED,
    ]
    assert {event.name for event in told if isinstance(event, PoolEvent)} == {"test-shelf"}


def test_the_command_line_shows_and_changes_them(
    libvirtd: Libvirtd, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def vmherd(*words: str) -> str:
        assert run(words) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    monkeypatch.setenv("VMHERD_DEFAULT_URI", libvirtd.uri("test:///default"))
    assert vmherd("network", "list", "--json").count('"name": "default"') == 1
    (first,) = vmherd("interface", "list").splitlines()[1:]
    name, state, mac = first.split()
    assert (state, vmherd("interface", "name", mac).strip()) == ("active", name)
    tree = vmherd("device", "list", "--tree").splitlines()
    assert tree[0] == "computer"
    assert any(line.endswith("- scsi_host1") for line in tree)
    (tmp_path / "hba.xml").write_text(HBA)
    assert vmherd("device", "create", str(tmp_path / "hba.xml")).endswith(" is made\n")

    monkeypatch.setenv("VMHERD_DEFAULT_URI", libvirtd.uri())
    (tmp_path / "filter.xml").write_text(FILTER.format("no-post"))
    assert vmherd("nwfilter", "define", str(tmp_path / "filter.xml")) == "filter no-post is defined\n"
    assert "no-post" in vmherd("nwfilter", "list")
    assert vmherd("nwfilter", "undefine", "no-post") == "filter no-post is not defined any more\n"
