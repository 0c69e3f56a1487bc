"""Devices that come to and leave guests that run, and what is left when somebody dies in the middle.

What QEMU has is looked at from outside: its monitor, the files it holds open, the processes beside it.  As a program,
this file is the manager that is killed (``URI UUID XML``), or a scenario with network devices of its own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop
from parts import Ear, make_disk, processes

from vmherd.api.aio import Domain, Host, connect
from vmherd.conf.domain import parse_domain
from vmherd.conf.domain.domain import devices_of
from vmherd.driver.types import Scope
from vmherd.driver.uri import parse_uri
from vmherd.errors import HostError, HypervisorError, NetworkNotFound, OperationUnsupported, Unsupported, VmherdError
from vmherd.events import DeviceAddedEvent, DeviceRemovedEvent
from vmherd.guest.demo import DemoGuest
from vmherd.guest.session import Session
from vmherd.hypervisors.qemu import helpers, keeper
from vmherd.hypervisors.qemu.folders import for_uri
from vmherd.hypervisors.qemu.monitor import connected

pytestmark = pytest.mark.qemu

GUEST = """
<domain type='qemu'>
  <name>web</name>
  <maxMemory slots='4' unit='MiB'>1024</maxMemory>
  <memory unit='MiB'>64</memory>
  <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <cpu><numa><cell id='0' cpus='0' memory='64' unit='MiB' memAccess='shared'/></numa></cpu>
  <devices>
    <controller type='virtio-serial'/>
    <controller type='usb' model='qemu-xhci' ports='8'/>
    <controller type='scsi' index='0' model='virtio-scsi'/>
    <disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk>
    <disk type='file' device='floppy'><target dev='fda' bus='fdc'/></disk>
    <interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>
    <graphics type='vnc' passwd='alt'><listen type='none'/></graphics>
    {more}
  </devices>
</domain>
"""
BOTH = Scope(live=True, config=True)


def disk(path: Path, dev: str, bus: str, kind: str = "raw") -> str:
    driver = f"<driver name='qemu' type='{kind}'/>"
    return f"<disk type='file' device='disk'>{driver}<source file='{path}'/><target dev='{dev}' bus='{bus}'/></disk>"


def drive(path: Path | None, dev: str, bus: str, kind: str) -> str:
    source = f"<source file='{path}'/>" if path else ""
    return f"<disk type='file' device='{kind}'>{source}<target dev='{dev}' bus='{bus}'/></disk>"


def sized(path: Path, size: int = 1 << 20) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


async def ask(domain: Domain, root: Path, command: str, **arguments: object) -> Any:
    async with connected(root / "run/guests" / domain.uuid / "monitor.sock") as monitor:
        return await monitor.execute(command, arguments)


async def plugged(domain: Domain, root: Path) -> set[str]:
    """The names of the devices that QEMU has."""
    return {each["name"] for each in await ask(domain, root, "qom-list", path="/machine/peripheral")}


async def leftovers(domain: Domain, root: Path) -> dict[str, set[str]]:
    """All that a device may leave in QEMU and beside it."""
    return {
        "devices": await plugged(domain, root),
        "objects": {each["name"] for each in await ask(domain, root, "qom-list", path="/objects")},
        "lines": {each["label"] for each in await ask(domain, root, "query-chardev")},
        "nodes": {each["node-name"] for each in await ask(domain, root, "query-named-block-nodes", flat=True)},
        "helpers": {line.split()[0] for line in processes(root).values() if "-m vmherd" not in line},
        "notes": {path.name for path in (root / "run/guests" / domain.uuid).glob("*.json")},
        # A QEMU whose guest is paused forgets none (monitor_fdset_cleanup).
        "sets": {str(each) for each in await ask(domain, root, "query-fdsets")},
    }


async def opened(domain: Domain) -> list[str]:
    """The files that the guest's QEMU holds open."""
    found = []
    for link in Path(f"/proc/{(await domain.info()).pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(str(link.readlink()))
    return found


async def names(domain: Domain) -> list[str]:
    """The names in the document."""
    return [each.alias.name for each in devices_of(parse_domain(await domain.xml()).devices) if each.alias]


def everything(folder: Path) -> dict[str, str]:
    """A device of each family that QEMU plugs in, by the name it will have."""
    image = sized(folder / "image.raw")
    (folder / "shared").mkdir(exist_ok=True)
    return {
        "virtio-disk1": disk(make_disk(folder), "vdb", "virtio", "qcow2"),
        "scsi0-0-0-3": disk(image, "sdd", "scsi"),
        "net1": "<interface type='user'><model type='virtio'/><link state='down'/></interface>",
        "net2": "<interface type='mcast'><source address='230.0.0.1' port='5558'/></interface>",
        "rng0": "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
        "input2": "<input type='keyboard' bus='virtio'/>",
        "serial0": "<serial type='null'><target type='pci-serial'/></serial>",
        "shmem0": f"<shmem name='vmherd-{os.getpid()}'><model type='ivshmem-plain'/><size unit='M'>1</size></shmem>",
        "watchdog0": "<watchdog model='i6300esb' action='poweroff'/>",
        "scsi7": "<controller type='scsi' index='7' model='virtio-scsi'/>",
        "dimm0": "<memory model='dimm'><target><size unit='MiB'>64</size><node>0</node></target></memory>",
        **({"fs0": SHARED_FOLDER.format(folder)} if VIRTIOFSD else {}),
        **everything_on_usb(folder),
    }


VIRTIOFSD = os.geteuid() == 0 and shutil.which("virtiofsd", path=f"/usr/bin:{helpers.FOLDERS}")
SHARED_FOLDER = """<filesystem type='mount'><driver type='virtiofs'/><source dir='{}/shared'/>
  <target dir='tag'/></filesystem>"""


def everything_on_usb(folder: Path) -> dict[str, str]:
    """Those that need nobody's consent to leave."""
    image = sized(folder / "stick.raw")
    return {
        "usb-disk4": disk(image, "sde", "usb").replace(
            "<target", "<iotune><total_iops_sec>9</total_iops_sec></iotune><target"
        ),
        "input3": "<input type='tablet' bus='usb'/>",
        "serial1": "<serial type='pty'><target type='usb-serial'/></serial>",
        "redir0": "<redirdev bus='usb' type='tcp'><source mode='bind' host='127.0.0.1' service='0'/></redirdev>",
        "channel0": "<channel type='unix'><target type='virtio' name='org.example.a'/></channel>",
        "channel1": f"<channel type='file'><source path='{folder}/out'/><target type='virtio' name='b'/></channel>",
        "console0": "<console type='pty'><target type='virtio'/></console>",
    }


async def test_devices_of_every_family_come_and_those_that_need_no_consent_leave(host: Host, tmp_path: Path) -> None:
    domain = await host.create(GUEST.format(more=""), paused=True)
    before = await leftovers(domain, tmp_path)
    devices = everything(tmp_path)
    for name, xml in devices.items():
        await domain.devices.attach(xml)
        assert name in await names(domain), await domain.xml()
        assert name in await plugged(domain, tmp_path)
    document = parse_domain(await domain.xml())
    assert document.memory.size == 128 << 20
    assert (await domain.info()).max_memory == 128 << 20
    # A second start must give every device the place it has now.
    assert all(each.address for each in document.devices.disks)
    assert str(tmp_path / "stick.raw") in await opened(domain)
    leaving = everything_on_usb(tmp_path)
    for name in leaving:
        await domain.devices.detach(devices[name])
        assert name not in await names(domain)
    after = await leftovers(domain, tmp_path)
    assert after["devices"] - before["devices"] == set(devices) - set(leaving)
    assert after["lines"] - before["lines"] == {"charserial0"} | ({"chr-vu-fs0"} if VIRTIOFSD else set())
    assert after["notes"] == before["notes"]
    assert str(tmp_path / "stick.raw") not in await opened(domain)


async def test_what_cannot_come_or_go_is_refused_and_nothing_is_left(host: Host, tmp_path: Path) -> None:
    domain = await host.create(GUEST.format(more=""), paused=True)
    before, xml = await leftovers(domain, tmp_path), await domain.xml()
    image = sized(tmp_path / "image.raw")
    taken = disk(image, "vdb", "virtio").replace("</disk>", "<address type='pci' slot='2'/></disk>")
    attached: list[tuple[str, type[VmherdError], str]] = [
        (disk(image, "sdz", "sata"), OperationUnsupported, "disk bus 'sata' cannot be hotplugged"),
        (drive(image, "hdd", "ide", "cdrom"), OperationUnsupported, "cdrom/floppy device hotplug isn't supported"),
        (disk(tmp_path / "none.raw", "vdb", "virtio"), HostError, "does not exist"),
        (taken, VmherdError, "0000:00:02.0 is wanted by"),
        ("<tpm><backend type='emulator'/></tpm>", OperationUnsupported, "live attach of device 'tpm'"),
        ("<controller type='usb' index='1'/>", OperationUnsupported, "'usb' controller cannot be hot plugged"),
        ("<input type='mouse' bus='ps2'/>", OperationUnsupported, "bus 'ps2' cannot be hot plugged"),
        ("<interface type='network'><source network='none'/></interface>", NetworkNotFound, "no network 'none'"),
        ("<memory model='nvdimm'><source><path>/dev/null</path></source><target><size unit='M'>64</size>"
         "<node>0</node></target></memory>", HypervisorError, "QEMU refused"),
        (disk(image, "vdb", "virtio", "qcow2"), HypervisorError, "not in qcow2 format"),
    ]  # fmt: skip
    for device, error, words in attached:
        with pytest.raises(error, match=words):
            await domain.devices.attach(device)
        assert await domain.xml() == xml
    for device, error, words in [
        (drive(None, "hdc", "ide", "cdrom"), OperationUnsupported, "disk device type 'cdrom' cannot be detached"),
        ("<graphics type='vnc'/>", OperationUnsupported, "live detach of device 'graphics'"),
    ]:
        with pytest.raises(error, match=words):
            await domain.devices.detach(device)
    assert await leftovers(domain, tmp_path) == before


async def test_a_medium_is_put_in_changed_and_taken_out(host: Host, tmp_path: Path) -> None:
    domain = await host.define(GUEST.format(more=""))
    await domain.start(paused=True)
    first, second = sized(tmp_path / "first.iso"), sized(tmp_path / "second.iso")
    await domain.devices.update(drive(first, "hdc", "ide", "cdrom"), BOTH)
    assert str(first) in await opened(domain)
    await domain.devices.update(drive(second, "hdc", "ide", "cdrom"))
    assert str(second) in await opened(domain)
    assert str(first) not in await opened(domain)
    with pytest.raises(HostError, match="does not exist"):
        await domain.devices.update(drive(tmp_path / "none.iso", "hdc", "ide", "cdrom"))
    assert str(second) in await opened(domain)
    assert f"<source file='{second}' index='" in await domain.xml()
    assert f"<source file='{first}'/>" in await domain.xml(inactive=True)
    floppy = sized(tmp_path / "floppy.img", 1440 << 10)
    await domain.devices.update(drive(floppy, "fda", "fdc", "floppy"))
    assert str(floppy) in await opened(domain)
    for dev, bus, kind in (("hdc", "ide", "cdrom"), ("fda", "fdc", "floppy")):
        await domain.devices.update(drive(None, dev, bus, kind))
    assert not {str(second), str(floppy)} & set(await opened(domain))
    assert "<source file=" not in await domain.xml()


async def test_of_what_stays_some_things_change(host: Host, tmp_path: Path) -> None:
    module = (
        "<memory model='virtio-mem'>{}<target><size unit='MiB'>64</size><node>0</node><block unit='MiB'>2</block>"
        "<requested unit='MiB'>{}</requested></target></memory>"
    )
    domain = await host.create(GUEST.format(more=""), paused=True)
    await domain.devices.attach(module.format("", 0))
    card = "<interface type='user'><mac address='52:54:00:00:00:01'/>{}<model type='{}'/>{}</interface>"
    await domain.devices.update(card.format("", "virtio", "<link state='down'/>"))
    assert "<link state='down'/>" in await domain.xml()
    [rx] = await ask(domain, tmp_path, "query-rx-filter", name="net0")
    assert rx["name"] == "net0"
    await domain.devices.update(card.format("", "virtio", ""))
    assert "<link" not in await domain.xml()
    with pytest.raises(OperationUnsupported, match="cannot modify field 'model'"):
        await domain.devices.update(card.format("", "e1000", ""))
    await domain.devices.update(module.format("", 64).replace("</memory>", "<alias name='virtiomem0'/></memory>"))
    told = await ask(domain, tmp_path, "query-memory-devices")
    assert [each["data"]["requested-size"] for each in told] == [64 << 20]
    await domain.devices.update("<graphics type='vnc' passwd='neu'><listen type='none'/></graphics>")
    assert "passwd='neu'" in await domain.xml(secure=True)
    with pytest.raises(OperationUnsupported, match="listen address"):
        await domain.devices.update("<graphics type='vnc'><listen type='address' address='0.0.0.0'/></graphics>")
    with pytest.raises(Unsupported, match="live update of device 'rng'"):
        await domain.devices.update("<rng model='virtio'><backend model='random'/></rng>")


def plain(demo: DemoGuest) -> str:
    """The demo guest with ports that devices can come to and leave."""
    ports = "".join(f"<controller type='pci' index='{n}' model='pcie-root-port'/>" for n in range(1, 9))
    return f"""
<domain type='qemu'>
  <name>linux</name>
  <memory unit='MiB'>192</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{demo.kernel}</kernel><initrd>{demo.initrd}</initrd><cmdline>{demo.cmdline}</cmdline></os>
  <features><acpi/></features>
  <devices><serial type='pty'/><controller type='virtio-serial'/>{ports}</devices>
</domain>"""


@pytest.mark.packages
async def test_a_guest_uses_what_comes_and_lets_it_go(host: Host, demo: DemoGuest, tmp_path: Path) -> None:
    domain = await host.define(plain(demo))
    await domain.start(paused=True)
    console = await domain.open_console()
    await domain.resume()
    try:
        await use_and_let_go(domain, Session(console), tmp_path)
    finally:
        await console.close()
    async with Ear(host) as ear:
        before = await leftovers(domain, tmp_path)
        await domain.devices.attach(CARD)
        assert (await ear.wait(DeviceAddedEvent)).alias == "net0"
        # Nobody waits for this one: the keeper clears it away when the guest has let go.
        await domain.devices.detach_alias("net0")
        assert (await ear.wait(DeviceRemovedEvent)).alias == "net0"
    assert "net0" not in await names(domain)
    assert await leftovers(domain, tmp_path) == before


CARD = "<interface type='user'><mac address='52:54:00:00:00:02'/><model type='virtio'/></interface>"


async def use_and_let_go(domain: Domain, session: Session, tmp_path: Path) -> None:
    await session.login("root", "demo", patience=90)
    before = await leftovers(domain, tmp_path)
    image = disk(sized(tmp_path / "image.raw"), "vda", "virtio")
    await domain.devices.attach(image, BOTH)
    await session.run("until [ -e /sys/class/block/vda/size ]; do sleep 0.1; done")
    assert await session.run("cat /sys/class/block/vda/size") == "2048\n"
    assert "<target dev='vda'" in await domain.xml(inactive=True)
    await domain.devices.detach(image, BOTH)
    assert "vda" not in await session.run("ls /sys/class/block")
    assert "<target dev='vda'" not in await domain.xml() + await domain.xml(inactive=True)
    assert await leftovers(domain, tmp_path) == before
    channel = f"<channel type='file'><source path='{tmp_path}/out'/><target type='virtio' name='out'/></channel>"
    await domain.devices.attach(channel)
    await session.run("until [ -e /dev/vport*p1 ]; do sleep 0.1; done; echo hello > $(ls /dev/vport*p1)")

    async def has_said() -> bool:
        return (tmp_path / "out").read_text() == "hello\n"

    await met(has_said)
    await domain.devices.detach(channel)
    assert await leftovers(domain, tmp_path) == before


def manager(uri: str, domain: Domain, xml: str) -> subprocess.Popen[bytes]:
    """A process that attaches a device, to be killed."""
    return subprocess.Popen([sys.executable, __file__, "attach", uri, domain.uuid, xml])


async def met(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.05)


async def test_a_manager_that_dies_when_qemu_has_the_device_leaves_it_to_the_guest(
    host: Host, uri: str, tmp_path: Path
) -> None:
    domain = await host.create(GUEST.format(more=""), paused=True)
    image = sized(tmp_path / "image.raw")

    async def is_kept() -> bool:
        return keeper.is_present(for_uri(parse_uri(uri)))

    await met(is_kept)
    await asyncio.sleep(1)  # until the keeper has noted how the guest began, since nobody can write from now on
    database = sqlite3.connect(tmp_path / "state/state.db", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")  # so that the manager cannot note the device
    try:
        process = manager(uri, domain, disk(image, "vdb", "virtio"))

        async def is_plugged() -> bool:  # the manager has the monitor
            return str(image) in await opened(domain)

        await met(is_plugged)
        await asyncio.sleep(1)
        process.kill()
        process.wait()
    finally:
        database.execute("ROLLBACK")
        database.close()

    async def is_told() -> bool:
        return "virtio-disk1" in await names(domain)

    await met(is_told)  # the keeper has seen to it
    assert "virtio-disk1" in await plugged(domain, tmp_path)
    assert not list((tmp_path / "run/guests" / domain.uuid).glob("plugging*"))


async def test_a_manager_that_dies_before_qemu_has_the_device_leaves_nothing(
    host: Host, uri: str, tmp_path: Path
) -> None:
    domain = await host.create(GUEST.format(more=""), paused=True)
    before = await leftovers(domain, tmp_path)
    stuck = tmp_path / "virtiofsd"  # it never answers, and QEMU waits for it
    stuck.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/stuck.pid\nexec sleep 1000\n")
    stuck.chmod(0o755)
    folder = (
        f"<filesystem type='mount'><driver type='virtiofs'/><binary path='{stuck}'/>"
        f"<source dir='{tmp_path}'/><target dir='tag'/></filesystem>"
    )
    process = manager(uri, domain, folder)

    async def has_begun() -> bool:
        return (tmp_path / "stuck.pid").exists()

    await met(has_begun)
    await asyncio.sleep(1)
    process.kill()
    process.wait()
    assert list((tmp_path / "run/guests" / domain.uuid).glob("plugging*"))
    os.kill(int((tmp_path / "stuck.pid").read_text()), signal.SIGKILL)
    await domain.devices.attach(CARD)  # the next manager puts it in order first
    await domain.devices.detach_alias("net1")
    found = await leftovers(domain, tmp_path)
    assert found["lines"] == before["lines"]
    assert found["notes"] == before["notes"]
    assert found["helpers"] == before["helpers"]
    assert "fs0" not in await names(domain)


async def bridged(uri: str) -> None:
    """Cards on network devices of the host, which come with them, change bridges, and go with them."""
    for name in ("br7", "br8"):
        subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    card = (
        "<interface type='bridge'><mac address='52:54:00:00:00:07'/><source bridge='{}'/><target dev='port7'/>"
        "<model type='virtio'/><driver queues='2'/></interface>"
    )
    net = Path("/sys/class/net")
    async with await connect(uri) as host:
        domain = await host.create(GUEST.format(more=""), paused=True)
        await domain.devices.attach(card.format("br7"))
        assert (net / "port7/master").readlink().name == "br7"
        await domain.devices.update(card.format("br8"))
        assert (net / "port7/master").readlink().name == "br8"
        assert "<source bridge='br8'/>" in await domain.xml()
        with pytest.raises(HostError, match="no bridge 'br9'"):
            await domain.devices.update(card.format("br9"))
        with pytest.raises(HostError, match="in use"):
            await domain.devices.attach(card.format("br7").replace("00:07'", "00:08'"))
        assert (net / "port7/master").readlink().name == "br8"
        usb = card.format("br7").replace("port7", "port9").replace("00:07'", "00:09'").replace("virtio", "usb-net")
        usb = usb.replace("<driver queues='2'/>", "")
        await domain.devices.attach(usb)
        assert (net / "port9").exists()
        await domain.devices.detach(usb)
        assert not (net / "port9").exists()
        await domain.poweroff()
        assert not (net / "port7").exists()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="making network devices takes root rights")
def test_cards_on_the_network_devices_of_the_host_come_and_go(uri: str, tmp_path: Path) -> None:
    inside = ["unshare", "--net", "--mount", "sh", "-c", 'mount -t sysfs none /sys && exec "$@"', "sh"]
    argv = [*inside, sys.executable, __file__, "bridged", uri]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert not [line for line in processes(tmp_path).values() if "qemu-system" in line]


async def attach(uri: str, uuid: str, xml: str) -> None:
    async with await connect(uri) as host:
        await (await host.domain(uuid)).devices.attach(xml)


if __name__ == "__main__":
    uvloop.run({"attach": attach, "bridged": bridged}[sys.argv[1]](*sys.argv[2:]))  # as in a daemon
