"""Disks and file systems that cannot be: each is refused at its place, with a way out."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from vmherd.conf.domain import parse_domain
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu import complete, validate
from vmherd.hypervisors.qemu.capabilities import Capabilities

DATA = Path(__file__).parents[1] / "data" / "qemu"


@pytest.fixture(scope="module")
def caps() -> Capabilities:
    return msgspec.json.decode((DATA / "capabilities-7.2.json").read_bytes(), type=Capabilities)


def machine(devices: str) -> str:
    return (
        "<domain type='qemu'><name>web</name><memory unit='MiB'>64</memory><iothreads>1</iothreads>"
        f"<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>{devices}</devices></domain>"
    )


def disk(
    *,
    type_: str = "file",
    device: str = "disk",
    source: str = "<source file='/a'/>",
    bus: str = "virtio",
    more: str = "",
) -> str:
    name = {"virtio": "vda", "ide": "hda", "fdc": "fda"}.get(bus, "sda")
    return f"<disk type='{type_}' device='{device}'>{source}<target dev='{name}' bus='{bus}'/>{more}</disk>"


def server(text: str) -> str:
    return disk(type_="network", source=f"<source {text}</source>")


def folder(attributes: str = "", inside: str = "") -> str:
    return f"<filesystem {attributes}><source dir='/a'/><target dir='x'/>{inside}</filesystem>"


HOST = "<host name='h'/>"
LUKS = "<encryption format='luks'>{}<secret type='passphrase' usage='x'/></encryption>"

DISKS = [
    (disk(source=""), "source"),
    (disk(source="<source file='/a' startupPolicy='requisite'/>"), "source/@startupPolicy"),
    (server(f"protocol='nbd' startupPolicy='optional'>{HOST}"), "source/@startupPolicy"),
    (server(f"protocol='iscsi'>{HOST}"), "source/@name"),
    (server(f"protocol='rbd' name='image'>{HOST}"), "source/@name"),
    (server("protocol='nbd'><host transport='unix'/>"), "source/host[1]"),
    (server("protocol='nbd'><host name='h' socket='/s'/>"), "source/host[1]/@socket"),
    (server("protocol='nbd'><host name='h' port='nbd'/>"), "source/host[1]/@port"),
    (server(f"protocol='iscsi' name='i'>{HOST}<auth username='a'><secret usage='x'/></auth>"),
     "source/auth/secret/@type"),
    (server(f"protocol='rbd' name='p/i'>{HOST}<auth username='a'><secret type='iscsi' usage='x'/></auth>"),
     "source/auth/secret/@type"),
    (server(f"protocol='rbd' name='p/i'>{HOST}<auth username='a'><secret type='ceph'/></auth>"), "source/auth/secret"),
    (server(f"protocol='http' name='/i'>{HOST}<cookies><cookie name='a b'>1</cookie></cookies>"),
     "source/cookies/cookie[1]/@name"),
    (server(f"protocol='http' name='/i'>{HOST}<cookies><cookie name='a'>1;2</cookie></cookies>"),
     "source/cookies/cookie[1]"),
    (server(f"protocol='ssh' name='/i' tls='yes'>{HOST}"), "source/@tls"),
    (server(f"protocol='nbd' tlsHostname='h'>{HOST}"), "source/@tlsHostname"),
    (server(f"protocol='iscsi' name='i'>{HOST}<snapshot name='s'/>"), "source/snapshot"),
    (disk(source="<source file='/a'><slices><slice type='format' offset='1' size='1'/></slices></source>"),
     "source/slices/slice[1]/@type"),
    (disk(source="<source file='/a'><reservations managed='yes'/></source>"), "source/reservations"),
    (disk(type_="block", device="lun", bus="scsi", source="<source dev='/a'><reservations managed='no'/></source>"),
     "source/reservations/source"),
    (disk(type_="nvme", source="<source type='pci' namespace='1'/>"), "source/address"),
    (disk(type_="volume", source="<source pool='p'/>"), "source"),
    (disk(more="<encryption format='qcow'/>"), "encryption/@format"),
    (disk(more=LUKS.format("<cipher name='aes' size='256'/>")), "encryption"),
    (disk(more=LUKS.format("<secret type='passphrase' usage='y'/>")), "encryption/secret"),
    (disk(more="<encryption format='luks' engine='librbd'/>"), "encryption/@engine"),
    (disk(more="<encryption format='luks2'/>"), "encryption/@format"),
    (disk().replace("vda", "vda1"), "target/@dev"),
    (disk(device="floppy", bus="fdc").replace("fda", "sda"), "target/@dev"),
    (disk().replace("<target ", "<target tray='open' "), "target/@tray"),
    (disk().replace("<target ", "<target removable='on' "), "target/@removable"),
    (disk().replace("<target ", "<target rotation_rate='7200' "), "target/@rotation_rate"),
    (disk(bus="sata", more="<address type='pci' slot='0x9'/>"), "address/@type"),
    (disk(bus="sata", more="<address type='drive' target='1'/>"), "address/@target"),
    (disk(bus="scsi", more="<address type='drive' bus='1'/>"), "address/@bus"),
    (disk(bus="ide", more="<driver queues='2'/>"), "driver/@queues"),
    (disk(bus="ide", more="<driver iothread='1'/>"), "driver/@iothread"),
    (disk(more="<driver iothread='2'/>"), "driver/@iothread"),
    (disk(more="<driver name='tap'/>"), "driver/@name"),
    (disk(more="<driver io='native'/>"), "driver/@io"),
    (disk(more="<driver copy_on_read='on'/><readonly/>"), "driver/@copy_on_read"),
    (disk(more="<driver type='raw'><metadata_cache/></driver>"), "driver/metadata_cache"),
    (disk(more="<driver type='qcow2'/><shareable/>"), "shareable"),
    (disk(more="<wwn>5000c50015ea71ad</wwn>"), "wwn"),
    (disk(bus="scsi", more="<vendor>too long for it</vendor>"), "vendor"),
    (disk(more="<serial>a/b</serial>"), "serial"),
    (disk(more="<geometry cyls='9' heads='9' secs='9' trans='lba'/>"), "geometry/@trans"),
    (disk(device="lun"), "@device"),
    (disk(type_="block", source="<source dev='/a'/>", device="lun", bus="sata"), "target/@bus"),
    (disk(type_="block", source="<source dev='/a'/>", device="lun", bus="scsi", more="<serial>1</serial>"), "serial"),
    (disk().replace("<disk ", "<disk rawio='yes' "), "@rawio"),
    (disk(more="<transient/><readonly/>"), "transient"),
    (disk(bus="sata", more="<transient shareBacking='yes'/>"), "transient/@shareBacking"),
    (disk(more="<iotune><total_bytes_sec>9</total_bytes_sec><read_bytes_sec>9</read_bytes_sec></iotune>"),
     "iotune/total_bytes_sec"),
    (disk(more="<iotune><group_name>all</group_name></iotune>"), "iotune/group_name"),
]  # fmt: skip

FOLDERS = [
    ("<filesystem type='file'><source file='/a'/><target dir='x'/></filesystem>", "@type"),
    (folder(inside="<driver type='nbd'/>"), "driver/@type"),
    (folder("fmode='0644'"), "@fmode"),
    (folder(inside="<boot order='1'/>"), "boot"),
    (folder(inside="<binary path='/b'/>"), "binary"),
]

#: Virtiofs, and disks that other processes play: these have shared memory.
VIRTIOFS = [
    (folder("accessmode='mapped'", "<driver type='virtiofs'/>"), "filesystem[1]/@accessmode"),
    (folder(inside="<driver type='virtiofs'/><readonly/>"), "filesystem[1]/readonly"),
    (folder(inside="<driver type='virtiofs' wrpolicy='immediate'/>"), "filesystem[1]/driver/@wrpolicy"),
    (disk(type_="vhostuser", source="<source type='unix'/>"), "disk[1]/source"),
    (disk(type_="vhostuser", source="<source type='unix' path='/s'/>", more="<serial>1</serial>"), "disk[1]/serial"),
    (disk(type_="vhostuser", source="<source type='unix' path='/s'/>", more="<driver cache='none'/>"),
     "disk[1]/driver/@cache"),
]  # fmt: skip


def places(text: str, caps: Capabilities) -> list[str]:
    """Where all the problems are."""
    domain = parse_domain(text)
    complete.complete(domain, caps)
    with pytest.raises(Unsupported) as caught:
        validate.check(domain, caps)
    assert caught.value.hint
    return [caught.value.place or "", *re.findall(r"^  (domain\S*): ", str(caught.value), re.MULTILINE)]


@pytest.mark.parametrize(("device", "place"), DISKS)
def test_a_disk_that_cannot_be_is_refused(device: str, place: str, caps: Capabilities) -> None:
    assert f"domain/devices/disk[1]/{place}" in places(machine(device), caps)


@pytest.mark.parametrize(("device", "place"), FOLDERS)
def test_a_file_system_that_cannot_be_is_refused(device: str, place: str, caps: Capabilities) -> None:
    assert f"domain/devices/filesystem[1]/{place}" in places(machine(device), caps)


@pytest.mark.parametrize(("device", "place"), VIRTIOFS)
def test_what_another_process_plays_has_its_limits(device: str, place: str, caps: Capabilities) -> None:
    found = places(machine(device), caps)
    assert f"domain/devices/{place}" in found
    assert "domain/memoryBacking" in found
    shared = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking><os>"
    assert "domain/memoryBacking" not in places(machine(device).replace("<os>", shared), caps)


@pytest.mark.parametrize(
    ("device", "place"),
    [
        (disk(more="<driver type='cow'/>"), "driver/@type"),
        (disk(more="<driver type='fat'/>"), "driver/@type"),
        (disk(type_="dir", source="<source dir='/a'/>", more="<driver type='fat'/>"), "readonly"),
        (disk(more="<driver type='vmdk'/>" + LUKS.format("")), "driver/@type"),
        (server(f"protocol='sheepdog' name='a'>{HOST}"), "source/@protocol"),
    ],
)
def test_a_definition_may_wait_for_its_image_but_a_start_not(device: str, place: str, caps: Capabilities) -> None:
    domain = parse_domain(machine(device))
    complete.complete(domain, caps)
    validate.check(domain, caps)
    with pytest.raises(Unsupported) as caught:
        validate.check_startable(domain)
    assert caught.value.place == f"domain/devices/disk[1]/{place}"


@pytest.mark.parametrize(
    "device",
    [
        disk(more="<iotune><read_iops_sec_max>9</read_iops_sec_max></iotune>"),
        server(f"protocol='nbd' tls='yes'>{HOST}"),
        disk(source="<source file='/a' fdgroup='g'/>"),
    ],
)
def test_what_this_host_cannot_give_is_refused_at_the_start(device: str, caps: Capabilities) -> None:
    domain = parse_domain(machine(device))
    complete.complete(domain, caps)
    validate.check(domain, caps)
    with pytest.raises(Unsupported) as caught:
        validate.check_enforced(domain)
    assert caught.value.hint
