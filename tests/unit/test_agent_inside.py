"""What an agent tells of a guest's inside, in libvirt's names; the agent is made up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from vmherd.conf.domain import parse_domain
from vmherd.driver.agent import GuestAddress, GuestFilesystem, GuestInfo, GuestInterface
from vmherd.driver.params import kind_of
from vmherd.errors import HypervisorError, InvalidArgument
from vmherd.hypervisors.qemu.agent import Agent, AgentRefused
from vmherd.hypervisors.qemu.inside import everything, interfaces, processors, storage

GUEST = parse_domain(
    """
<domain type='qemu'><name>web</name><memory>1024</memory><os><type>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><target dev='vda' bus='virtio'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x05' function='0x0'/></disk>
    <disk type='file' device='disk'><target dev='sdb' bus='scsi'/>
      <address type='drive' controller='0' bus='0' target='0' unit='1'/></disk>
    <controller type='scsi' index='0' model='virtio-scsi'>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x06' function='0x0'/></controller>
  </devices>
</domain>"""
)


def place(slot: int, unit: int = 0) -> dict[str, object]:
    controller = {"domain": 0, "bus": 0, "slot": slot, "function": 0}
    return {"bus-type": "virtio", "bus": 0, "target": 0, "unit": unit, "pci-controller": controller, "serial": "s1"}


TOLD: dict[str, Any] = {
    "guest-get-users": [{"user": "root", "login-time": 1700000000.25}],
    "guest-get-osinfo": {"id": "debian", "kernel-release": "6.1", "unheard-of": "x"},
    "guest-get-timezone": {"zone": "CET", "offset": -3600},
    "guest-get-host-name": {"host-name": "inside"},
    "guest-get-fsinfo": [
        {"name": "vda1", "mountpoint": "/", "type": "ext4", "disk": [place(5), place(6, 1), place(9)], "used-bytes": 1},
    ],
    "guest-network-get-interfaces": [
        {
            "name": "eth0",
            "hardware-address": "52:54:00:00:00:01",
            "ip-addresses": [{"ip-address": "10.0.2.15", "ip-address-type": "ipv4", "prefix": 24}],
        },
        {"name": "eth0:1", "ip-addresses": [{"ip-address": "fe80::1", "ip-address-type": "ipv6", "prefix": 64}]},
    ],
    "guest-get-vcpus": [
        {"logical-id": 0, "online": True, "can-offline": False},
        {"logical-id": 1, "online": True, "can-offline": True},
        {"logical-id": 2, "online": False, "can-offline": True},
        {"logical-id": 3, "online": False, "can-offline": True},
    ],
}


@asynccontextmanager
async def agent(path: Path, asked: list[dict[str, Any]]) -> AsyncIterator[Agent]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            message = json.loads(line.lstrip(b"\xff"))
            command = message["execute"]
            if command == "guest-sync-delimited":
                reply: dict[str, Any] = {"return": message["arguments"]["id"]}
                writer.write(b"\xff")
            elif command == "guest-set-vcpus":
                asked.append(message["arguments"])
                reply = {"return": 1}  # always the first only
            elif command in TOLD:
                reply = {"return": TOLD[command]}
            else:
                reply = {"error": {"class": "CommandNotFound", "desc": "The command has not been found"}}
            writer.write(json.dumps(reply).encode() + b"\n")

    server = await asyncio.start_unix_server(answer, path)
    connection = await Agent.connect(path, patience=5)
    yield connection
    connection.close()
    server.close()


async def test_everything_is_told_in_libvirts_names_and_types_and_what_is_unknown_left_out(tmp_path: Path) -> None:
    async with agent(tmp_path / "a", []) as inside:
        told = await everything.tell(inside, GUEST, None)
        assert await everything.tell(inside, GUEST, GuestInfo.HOSTNAME) == {"hostname": "inside"}
        with pytest.raises(AgentRefused, match="guest-get-disks"):
            await everything.tell(inside, GUEST, GuestInfo.DISKS)
    assert told == {
        "user.count": 1,
        "user.0.name": "root",
        "user.0.login-time": 1700000000250,
        "os.id": "debian",
        "os.kernel-release": "6.1",
        "timezone.name": "CET",
        "timezone.offset": -3600,
        "hostname": "inside",
        "fs.count": 1,
        "fs.0.name": "vda1",
        "fs.0.mountpoint": "/",
        "fs.0.fstype": "ext4",
        "fs.0.used-bytes": 1,
        "fs.0.disk.count": 3,
        "fs.0.disk.0.alias": "vda",
        "fs.0.disk.0.serial": "s1",
        "fs.0.disk.1.alias": "sdb",
        "fs.0.disk.1.serial": "s1",
        "fs.0.disk.2.serial": "s1",
        "if.count": 1,
        "if.0.name": "eth0",
        "if.0.hwaddr": "52:54:00:00:00:01",
        "if.0.addr.count": 2,
        "if.0.addr.0.type": "ipv4",
        "if.0.addr.0.addr": "10.0.2.15",
        "if.0.addr.0.prefix": 24,
        "if.0.addr.1.type": "ipv6",
        "if.0.addr.1.addr": "fe80::1",
        "if.0.addr.1.prefix": 64,
    }
    assert [name for name in told if kind_of(name) is None] == []


async def test_file_systems_and_interfaces_are_told_with_our_names_of_disks(tmp_path: Path) -> None:
    async with agent(tmp_path / "a", []) as inside:
        assert await storage.filesystems(inside, GUEST) == [
            GuestFilesystem(mountpoint="/", name="vda1", type="ext4", disks=("vda", "sdb"))
        ]
        addresses = (
            GuestAddress(family=4, address="10.0.2.15", prefix=24),
            GuestAddress(family=6, address="fe80::1", prefix=64),
        )
        told = await interfaces.ask(inside)
        assert told == [GuestInterface(name="eth0", mac="52:54:00:00:00:01", addresses=addresses)]


async def test_vcpus_are_switched_until_all_are_and_only_those_that_are_not_yet(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []
    async with agent(tmp_path / "a", asked) as inside:
        assert await processors.tell(inside) == {"vcpus": "0-3", "online": "0-1", "offlinable": "1-3"}
        await processors.switch(inside, processors.parse("1-3"), online=True)
        for vcpus in ("4", "0"):
            with pytest.raises(InvalidArgument):
                await processors.switch(inside, processors.parse(vcpus), online=False)
    assert [[each["logical-id"] for each in one["vcpus"]] for one in asked] == [[2, 3], [3]]
    for bad in ("", "x", "3-1"):
        with pytest.raises(InvalidArgument):
            processors.parse(bad)


@pytest.mark.parametrize(
    ("command", "lie"),
    [
        ("guest-get-users", "nobody"),
        ("guest-get-users", [{"user": 7, "login-time": 1}]),
        ("guest-get-users", [{"user": "root", "login-time": 1e300}]),
        ("guest-get-osinfo", {"id": ["debian"]}),
        ("guest-get-timezone", {"zone": "CET"}),
        ("guest-get-timezone", {"offset": 1 << 40}),
        ("guest-get-host-name", None),
        ("guest-get-fsinfo", [{"name": "a", "mountpoint": "/", "type": "x", "total-bytes": -1}]),
        ("guest-get-fsinfo", [{"name": "a", "mountpoint": "/", "type": "x", "total-bytes": 1 << 64}]),
        ("guest-get-fsinfo", [{"name": "a", "mountpoint": "/", "type": "x", "disk": [{"pci-controller": 1}]}]),
        ("guest-network-get-interfaces", [{"name": "eth0", "ip-addresses": [{"ip-address": "x"}]}]),
    ],
)
async def test_an_agent_that_lies_is_a_failure_of_the_guest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, lie: object
) -> None:
    monkeypatch.setitem(TOLD, command, lie)
    async with agent(tmp_path / "a", []) as inside:
        with pytest.raises(HypervisorError, match=f"'{command}' makes no sense"):
            await everything.tell(inside, GUEST, None)
