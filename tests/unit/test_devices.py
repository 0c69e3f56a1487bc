"""Devices that come and go: what is meant, what is refused, and what a definition says afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from vmherd.api.aio import Domain, Host, connect
from vmherd.conf.domain import parse_domain
from vmherd.driver.types import Scope
from vmherd.errors import (
    DeviceMissing,
    DocumentError,
    InvalidState,
    OperationFailed,
    OperationUnsupported,
    VmherdError,
)
from vmherd.hypervisors.qemu.hotplug import lines
from vmherd.hypervisors.qemu.hotplug.orders import Order, orders

GUEST = """
<domain type='test'>
  <name>web</name>
  <memory unit='MiB'>64</memory>
  <os><type>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><source file='/a'/><target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='disk'><source file='/c'/><target dev='vdc' bus='virtio'/></disk>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
    <controller type='scsi' index='0'/>
    <interface type='user'><mac address='52:54:00:00:00:01'/></interface>
    <interface type='user'><mac address='52:54:00:00:00:02'/></interface>
    <channel type='pty'><target type='virtio' name='a'/></channel>
    <hostdev mode='subsystem' type='usb'>
      <source><vendor id='0x1234'/><product id='0xbeef'/></source>
    </hostdev>
    <rng model='virtio'><alias name='ua-dice'/><backend model='random'>/dev/urandom</backend></rng>
    <watchdog model='i6300esb'/>
  </devices>
</domain>
"""
CONFIG, BOTH = Scope(config=True), Scope(live=True, config=True)
DISK = "<disk type='file' device='{}'>{}<target dev='{}' bus='{}'/></disk>"
CARD = "<interface type='user'><mac address='52:54:00:00:00:0{}'/></interface>"
HOSTDEV = "<hostdev mode='subsystem' type='usb'><source>{}</source></hostdev>"


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async with await connect("test:///default") as host:
        yield host


@pytest.fixture
async def domain(host: Host) -> Domain:
    return await host.define(GUEST)


async def test_a_device_comes_to_the_definition_the_running_guest_or_both(domain: Domain) -> None:
    await domain.start()
    card = "<interface type='user'/>"
    await domain.devices.attach(card)
    await domain.devices.attach(card, CONFIG)
    await domain.devices.attach(card, BOTH)
    macs = [
        [each.mac.address for each in parse_domain(await domain.xml(inactive=inactive)).devices.interfaces if each.mac]
        for inactive in (False, True)
    ]
    assert [len(each) for each in macs] == [4, 4]
    assert macs[0][2] != macs[1][2], "two cards"
    assert macs[0][3] == macs[1][3], "one card, wherever it is told"


async def test_what_a_definition_refuses_does_not_reach_the_running_guest(domain: Domain) -> None:
    await domain.start()
    await domain.devices.detach("<watchdog model='i6300esb'/>")  # from the guest alone
    before = await domain.xml()
    with pytest.raises(InvalidState):
        await domain.devices.attach("<watchdog model='i6300esb'/>", BOTH)
    assert await domain.xml() == before


async def test_disks_stand_in_the_order_of_their_names(domain: Domain) -> None:
    await domain.devices.attach(DISK.format("disk", "<source file='/b'/>", "vdb", "virtio"))
    disks = parse_domain(await domain.xml()).devices.disks
    assert [disk.target.dev for disk in disks] == ["vda", "vdb", "vdc", "sda"]


@pytest.mark.parametrize(
    ("verb", "device", "error", "words"),
    [
        ("attach", DISK.format("disk", "", "vda", "virtio"), InvalidState, "target vda already exists"),
        ("attach", "<controller type='scsi' index='0'/>", InvalidState, "already exists"),
        ("attach", "<channel type='pty'><target type='virtio' name='a'/></channel>", InvalidState, "already exists"),
        (
            "attach",
            HOSTDEV.format("<vendor id='0x1234'/><product id='0xbeef'/>"),
            InvalidState,
            "already in the domain configuration",
        ),
        ("attach", "<video/>", OperationUnsupported, "persistent attach of device 'video' is not supported"),
        ("attach", "<rng model='virtio'><alias name='ua-dice'/><backend model='builtin'/></rng>", DocumentError, "ua-"),
        ("attach", "<cpu/>", DocumentError, "unknown device type 'cpu'"),
        ("detach", DISK.format("disk", "", "vdb", "virtio"), DeviceMissing, "disk vdb not found"),
        ("detach", CARD.format(3), DeviceMissing, "no device matching MAC address 52:54:00:00:00:03"),
        ("detach", "<interface type='user'/>", OperationFailed, "multiple devices"),
        ("detach", "<rng model='virtio'><backend model='random'>/dev/hwrng</backend></rng>", DeviceMissing, "rng"),
        ("detach", HOSTDEV.format("<address bus='1' device='2'/>"), DeviceMissing, "usb device 001.002 not found"),
        ("detach", "<controller type='scsi' index='1'/>", DeviceMissing, "controller scsi:1 not found"),
        ("update", "<watchdog model='i6300esb'/>", OperationUnsupported, "persistent update"),
        ("update", CARD.format(3), DeviceMissing, "no device matching"),
    ],
)
async def test_what_is_there_and_what_is_not_is_told_as_libvirt_does(
    domain: Domain, verb: str, device: str, error: type[VmherdError], words: str
) -> None:
    before = await domain.xml()
    with pytest.raises(error, match=words):
        await getattr(domain.devices, verb)(device)
    assert await domain.xml() == before


@pytest.mark.parametrize(
    ("device", "gone"),
    [
        (CARD.format(2), "52:54:00:00:00:02"),
        (DISK.format("disk", "<source file='/elsewhere'/>", "vda", "virtio"), "vda"),
        ("<channel type='pty'><target type='virtio' name='a'/></channel>", "<channel"),
        (HOSTDEV.format("<vendor id='0x1234'/><product id='0xbeef'/>"), "<hostdev"),
        ("<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>", "<rng"),
        ("<watchdog model='i6300esb'/>", "<watchdog"),
    ],
)
async def test_a_device_is_found_by_what_makes_it_that_device(domain: Domain, device: str, gone: str) -> None:
    await domain.devices.detach(device)
    assert gone not in await domain.xml()


async def test_an_update_keeps_the_place_and_the_name(domain: Domain) -> None:
    await domain.devices.update(DISK.format("cdrom", "<source file='/new.iso'/>", "sda", "sata"))
    await domain.devices.update(
        "<interface type='user'><mac address='52:54:00:00:00:02'/><link state='down'/></interface>"
    )
    devices = parse_domain(await domain.xml()).devices
    assert devices.disks[2].source
    assert devices.disks[2].source.file == "/new.iso"
    assert [bool(each.link) for each in devices.interfaces] == [False, True]
    await domain.devices.detach_alias("ua-dice")
    with pytest.raises(DeviceMissing):
        await domain.devices.detach_alias("ua-dice")


@pytest.mark.parametrize(
    ("words", "kind", "data"),
    [
        ("pty,id=charx", "pty", {}),
        ("file,id=charx,path=/a,,b,append=on", "file", {"out": "/a,b", "append": True}),
        (
            "socket,id=charx,fd=7,server=on,wait=off",
            "socket",
            {"addr": {"type": "fd", "data": {"str": "7"}}, "server": True, "wait": False},
        ),
        (
            "socket,id=charx,path=/s,reconnect=3",
            "socket",
            {"addr": {"type": "unix", "data": {"path": "/s"}}, "server": False, "reconnect": 3},
        ),
        ("spicevmc,id=charx,name=usbredir", "spicevmc", {"type": "usbredir"}),
        ("null,id=charx,logfile=/l,logappend=on", "null", {"logfile": "/l", "logappend": True}),
    ],
)
def test_a_line_of_the_command_line_is_one_of_the_monitor(words: str, kind: str, data: dict[str, object]) -> None:
    assert lines.arguments(words) == {"id": "charx", "backend": {"type": kind, "data": data}}


def test_what_qemu_would_inherit_goes_through_its_monitor() -> None:
    argv = [
        *("-add-fd", "set=4,fd=10,opaque=net0-vdpa"),
        *("-netdev", '{"type":"tap","fds":"11:12","id":"hostnet0"}'),
        *("-device", '{"driver":"virtio-net-pci","netdev":"hostnet0","id":"net0"}'),
    ]
    made = list(orders(argv, [10, 11, 12, 13], "net0"))
    assert [(each.command, each.fd) for each in made] == [
        ("add-fd", 10),
        ("getfd", 11),
        ("getfd", 12),
        ("netdev_add", None),
        ("device_add", None),
        ("add-fd", 13),  # a lock, say
    ]
    assert made[3].arguments["fds"] == f"{made[1].arguments['fdname']}:{made[2].arguments['fdname']}"
    assert made[3].undo == ("netdev_del", {"id": "hostnet0"})
    with pytest.raises(OperationUnsupported):
        list[Order](orders(["-fsdev", "local"], [], "fs0"))
