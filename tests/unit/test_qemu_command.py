"""From documents to QEMU's arguments: each document in tests/data/qemu with the arguments beside it.

VMHERD_UPDATE_GOLDEN=1 writes them anew, to be looked at before they are kept.
"""

from __future__ import annotations

import os
import shlex
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest

from standins import Numbers
from vmherd.conf.domain import Domain, parse_domain, render
from vmherd.conf.domain.storage import DiskSource, StorageType
from vmherd.errors import DocumentError
from vmherd.hypervisors.qemu import alias, complete, memory, validate
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import Launch, build
from vmherd.hypervisors.qemu.command.launch import TlsFolder
from vmherd.hypervisors.qemu.command.secrets import Vault
from vmherd.hypervisors.qemu.config import DEFAULTS
from vmherd.hypervisors.qemu.host.accel import Verdict
from vmherd.hypervisors.qemu.host.hostmemory import HostMemory
from vmherd.hypervisors.qemu.startup import channels, displays, guestcpu

DATA = Path(__file__).parents[1] / "data" / "qemu"
CASES = sorted(DATA.glob("*.xml"))


@pytest.fixture(scope="module")
def caps() -> Capabilities:
    """What QEMU 7.2 of Debian 12 can do."""
    return msgspec.json.decode((DATA / "capabilities-7.2.json").read_bytes(), type=Capabilities)


HOST = HostMemory(
    files=Path("/var/ram/guest"),
    hugepages={2 << 20: Path("/dev/hugepages/guest"), 1 << 30: Path("/dev/hugepages1G/guest")},
    nodes={0: frozenset({0, 1}), 1: frozenset({2, 3})},
)
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone(timedelta(hours=2)))


def prepared(text: str, caps: Capabilities) -> tuple[Domain, Launch]:
    """A guest that is about to start, and what its start decides."""
    domain = parse_domain(text)
    complete.complete(domain, caps, new=True)
    validate.check(domain, caps, kvm=Verdict(usable=True, reason=""))
    validate.check_startable(domain)
    guestcpu.settle(domain, caps)
    domain.id = 1
    alias.assign(domain)
    memory.align(domain)
    channels.name(domain, Path("/run/guest"))
    displays.complete(domain, DEFAULTS, Path("/run/guest"), lambda: "/dev/dri/renderD128", Path("/run/guest/dbus.sock"))
    displays.choose_ports(domain, DEFAULTS, lambda ports, _: ports.start)
    numbers = Numbers()
    # A host with secrets, pools, certificates and descriptors for whoever asks.
    launch = Launch(
        folder=Path("/run/guest"),
        monitor_fd=9,
        opener=numbers,
        host=numbers,
        memory=HOST,
        now=NOW,
        tpm_socket=Path("/run/guest/swtpm.sock"),
        vault=Vault(find=lambda _: b"secret", random=bytes),
        volume=lambda source: (StorageType.BLOCK, DiskSource(dev=f"/dev/{source.pool}/{source.volume}")),
        is_cdrom=lambda path: path == "/dev/sr0",
        nbd_tls=TlsFolder(path="/etc/pki/nbd"),
        passed={"open": [7, 8]},
    )
    return domain, launch


def arguments(text: str, caps: Capabilities) -> list[str]:
    domain, launch = prepared(text, caps)
    return build(domain, caps, launch)


def lines(argv: list[str]) -> str:
    """An option and its values on a line."""
    told = ""
    for word in argv:
        told += ("\n" if word.startswith("-") and told else " " if told else "") + shlex.quote(word)
    return told + "\n"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_document_becomes_these_arguments(path: Path, caps: Capabilities) -> None:
    got, golden = lines(arguments(path.read_text(), caps)), path.with_suffix(".args")
    if os.environ.get("VMHERD_UPDATE_GOLDEN"):
        golden.write_text(got)
    assert got == golden.read_text()


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_completing_twice_changes_nothing_more(path: Path, caps: Capabilities) -> None:
    domain = parse_domain(path.read_text())
    complete.complete(domain, caps)
    once = render(domain)
    again = parse_domain(once)
    complete.complete(again, caps)
    assert render(again) == once


def machine(devices: str, *, kind: str = "pc") -> str:
    return (
        "<domain type='qemu'><name>web</name><memory unit='MiB'>64</memory>"
        f"<os><type arch='x86_64' machine='{kind}'>hvm</type></os><devices>{devices}</devices></domain>"
    )


DISK = "<disk type='file'><source file='/a'/><target dev='sda' bus='{}'/>{}</disk>"
SERVER = "<disk type='network'><source {}</source><target dev='vda' bus='virtio'/></disk>"
SOURCE = "domain/devices/disk/source"
NIC = "<interface type='user'>"
BRIDGE = "<interface type='bridge'><source bridge='br0'/>"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (machine("", kind="vax"), "domain/os/type/@machine"),
        (machine("").replace("'qemu'", "'xen'"), "domain/@type"),
        (machine("").replace(">hvm<", ">exe<"), "domain/os/type"),
        (machine("<interface type='vds'/>"), "domain/devices/interface[1]/@type"),
        (machine("").replace("'x86_64'", "'aarch64'"), "domain/os/type/@arch"),
        (machine(DISK.format("ide", "<readonly/>")), "domain/devices/disk[1]/readonly"),
        (machine("").replace("<os>", "<os><smbios mode='sysinfo'/>"), "domain/os/smbios"),
        (machine("").replace("<os>", "<os><smbios mode='host'/>"), "domain/os/smbios/@mode"),
        (machine("<graphics type='vnc' passwdValidTo='soon'/>"), "domain/devices/graphics[1]/@passwdValidTo"),
        (machine("").replace("<devices>", "<vcpu>9999</vcpu><devices>"), "domain/vcpu"),
        (machine("").replace("<devices>", "<cpu mode='host-passthrough'/><devices>"), "domain/cpu/@mode"),
        (machine("").replace("<devices>", "<cpu><model>Z80</model></cpu><devices>"), "domain/cpu/model"),
        (machine("").replace("<devices>", "<on_crash>rename-restart</on_crash><devices>"), "domain/on_crash"),
        (machine(SERVER.format("protocol='nbd' name='a'><host name='h'/><host name='i'/>")), f"{SOURCE}/host"),
        (machine(SERVER.format("protocol='iscsi' name='i/x'><host name='h'/>")), f"{SOURCE}/@name"),
        (
            machine(SERVER.format("protocol='rbd' name='p/i'><host transport='unix' socket='/s'/>")),
            f"{SOURCE}/host/@transport",
        ),
        (
            machine(SERVER.format("protocol='gluster' name='v/i'><host name='h' transport='rdma'/>")),
            f"{SOURCE}/host/@transport",
        ),
    ],
)
def test_what_cannot_run_is_refused_with_its_place(text: str, place: str, caps: Capabilities) -> None:
    with pytest.raises(DocumentError) as caught:
        arguments(text, caps)
    assert caught.value.place == place
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (machine("").replace("<os>", "<cputune><shares>9</shares></cputune><os>"), "domain/cputune"),
        (machine("").replace("<os>", "<memtune><hard_limit>9</hard_limit></memtune><os>"), "domain/memtune"),
        (machine("").replace("<os>", "<blkiotune><weight>9</weight></blkiotune><os>"), "domain/blkiotune"),
        (machine(f"{NIC}<bandwidth><inbound average='9'/></bandwidth></interface>"),
         "domain/devices/interface[1]/bandwidth"),
        (machine(f"{BRIDGE}<coalesce><rx><frames max='7'/></rx></coalesce></interface>"),
         "domain/devices/interface[1]/coalesce"),
        (machine(f"{BRIDGE}<script path='/bin/up'/></interface>"), "domain/devices/interface[1]/script"),
        (machine("<interface type='vhostuser'><source type='unix' path='/a' mode='client'/><model type='virtio'/>"
                 "</interface>"), "domain/devices/interface[1]/@type"),
        (machine("<hostdev mode='subsystem' type='scsi' rawio='yes'><source><adapter name='scsi_host1'/>"
                 "<address bus='0' target='0' unit='0'/></source></hostdev>"), "domain/devices/hostdev[1]/@rawio"),
    ],
)  # fmt: skip
def test_a_promise_that_nothing_keeps_is_refused(text: str, place: str, caps: Capabilities) -> None:
    assert arguments(text, caps)  # QEMU itself takes it
    with pytest.raises(DocumentError) as caught:
        validate.check_enforced(parse_domain(text))
    assert caught.value.place == place
    assert caught.value.hint


def test_all_problems_come_at_once(caps: Capabilities) -> None:
    text = machine("", kind="vax").replace("<devices>", "<vcpu>9999</vcpu><on_crash>rename-restart</on_crash><devices>")
    with pytest.raises(DocumentError) as caught:
        arguments(text, caps)
    assert "domain/os/type/@machine" in str(caught.value)
    assert "domain/on_crash" in str(caught.value)


def test_shared_memory_with_a_server_has_interrupts(caps: Capabilities) -> None:
    text = (DATA / "shared-memory.xml").read_text()
    text = text.replace(
        "<shmem name='vmherd-golden-lone' role='peer'><model type='ivshmem-plain'/>", "<shmem name='lone'>" + DOORBELL
    )
    argv = arguments(text, caps)
    assert "socket,id=charshmem1,path=/run/ivshmem" in argv
    [device] = [msgspec.json.decode(word) for word in argv if "ivshmem-doorbell" in word]
    assert (device["chardev"], device["vectors"], device["ioeventfd"]) == ("charshmem1", 1, True)


DOORBELL = "<model type='ivshmem-doorbell'/><server path='/run/ivshmem'/>"
