"""The classes of the domain document, through their text."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tried import untried

from vmherd.conf.domain import Domain, DomainType, parse_domain, render, stored
from vmherd.conf.domain.disk import DiskBus
from vmherd.conf.domain.hostdev import PciSource, UsbSource
from vmherd.errors import DocumentError

DATA = Path(__file__).parent.parent / "data" / "domain"
GOLDEN = sorted(path for path in DATA.glob("*.xml") if not path.stem.endswith(".in"))


def typical() -> Domain:
    return parse_domain((DATA / "typical.xml").read_bytes())


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_document_reads_and_writes_back_unchanged(path: Path) -> None:
    assert render(parse_domain(path.read_text()), secure=True) == path.read_text()


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_document_survives_json(path: Path) -> None:
    domain = parse_domain(path.read_text())
    assert msgspec.json.decode(msgspec.json.encode(domain), type=Domain) == domain


def test_golden_files_use_every_declared_field() -> None:
    """A field nobody's document sets is a field nobody has tried."""
    assert not untried(Domain, [parse_domain(path.read_text()) for path in GOLDEN])


def test_values_are_typed_and_sizes_are_bytes() -> None:
    domain = typical()
    assert domain.type is DomainType.KVM
    assert domain.memory.size == 4 * 1024**3
    assert domain.vcpu.count == 4
    assert domain.devices.disks[0].target.bus is DiskBus.VIRTIO
    assert domain.devices.disks[1].readonly
    assert domain.features is not None
    assert domain.features.vmport is not None
    assert domain.features.vmport.state is False


def test_defaults_stand_for_what_is_absent() -> None:
    domain = parse_domain("<domain type='test'><name>a</name><os><type>hvm</type></os></domain>")
    assert (domain.vcpu.count, domain.on_reboot, domain.clock.offset) == (1, "restart", "utc")
    assert domain.devices.disks == []
    assert domain.current_memory is None


def test_the_source_of_a_host_device_follows_its_type() -> None:
    hostdevs = parse_domain((DATA / "cards.xml").read_text()).devices.hostdevs
    sources = {each.type.value: type(each.source) for each in hostdevs}
    assert sources["usb"] is UsbSource
    assert sources["pci"] is PciSource


def test_a_bad_value_is_told_with_its_place_line_and_choices() -> None:
    text = (DATA / "typical.xml").read_text().replace("dev='sda' bus='sata'", "dev='sda' bus='scsy'")
    with pytest.raises(DocumentError) as caught:
        parse_domain(text)
    assert caught.value.place == "domain/devices/disk[2]/target/@bus"
    assert text.splitlines()[caught.value.line - 1].strip().startswith("<target dev='sda'")
    assert "scsi" in caught.value.hint


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ("<devices><disk><target dev='sda'/><wwn>0-16383</wwn></disk></devices>", "disk/wwn"),
        ("<devices><filesystem><source usage='1' units='MB2'/><target dir='/'/></filesystem></devices>", "/source"),
        (f"<devices><filesystem><source usage='{2**63}'/><target dir='/'/></filesystem></devices>", "/source"),
        ("<iothreads>2147483648</iothreads>", "domain/iothreads"),
        ("<vcpu>2147483648</vcpu>", "domain/vcpu"),
    ],
)
def test_a_value_that_means_nothing_is_refused(part: str, place: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_domain(f"<domain type='test'><name>a</name><os><type>hvm</type></os>{part}</domain>")
    assert caught.value.place.endswith(place)


@pytest.mark.parametrize("missing", ["name", "os"])
def test_a_document_without_an_essential_part_is_refused(missing: str) -> None:
    parts = {"name": "<name>a</name>", "os": "<os><type>hvm</type></os>"}
    del parts[missing]
    with pytest.raises(DocumentError, match=f"<{missing}> is missing"):
        parse_domain("<domain type='test'>" + "".join(parts.values()) + "</domain>")


def test_passwords_are_written_only_when_asked_for() -> None:
    domain = typical()
    domain.devices.graphics[0].passwd = "s3cr3t"
    assert "s3cr3t" not in render(domain)
    assert "passwd" not in render(domain)
    assert "passwd='s3cr3t'" in render(domain, secure=True)
    assert domain.devices.graphics[0].passwd == "s3cr3t"


def test_the_driver_of_a_host_device_card_is_written_before_its_source() -> None:
    card = "<interface type='hostdev' managed='yes'><mac address='52:54:00:00:00:01'/><source>{}</source>{}</interface>"
    address = "<address type='pci' domain='0x0000' bus='0x03' slot='0x07' function='0x1'/>"
    text = (DATA / "typical.xml").read_text()
    start, end = text.index("    <interface"), text.index("    <serial")
    domain = parse_domain(text[:start] + card.format(address, "<driver name='vfio'/>") + text[end:])
    written = render(domain)
    assert written.index("<driver name='vfio'/>") < written.index("bus='0x03' slot='0x07'")
    assert written.count("<driver name='vfio'/>") == 1


RUNNING = """
<domain type='kvm' id='7'>
  <name>a</name>
  <memory>1024</memory>
  <os><type>hvm</type></os>
  <devices>
    <disk><source file='/a' index='3'/><target dev='vda'/><alias name='virtio-disk0'/></disk>
    <disk><target dev='vdb'/><alias name='ua-mine'/></disk>
    <serial type='pty'><source path='/dev/pts/4'/><target port='0'/><alias name='serial0'/></serial>
    <console type='pty' tty='/dev/pts/4'><source path='/dev/pts/4'/><target type='serial' port='0'/></console>
    <channel type='unix'><target type='virtio' name='x' state='connected'/></channel>
    <graphics type='vnc' port='5901' autoport='yes' websocket='5701' websocketGenerated='yes'/>
    <graphics type='vnc' port='5999' autoport='no'/>
  </devices>
</domain>
"""


def test_the_stored_form_forgets_what_only_a_running_guest_has() -> None:
    running = parse_domain(RUNNING)
    kept = stored(running)
    devices = kept.devices
    assert kept.id is None
    assert [disk.alias and disk.alias.name for disk in devices.disks] == [None, "ua-mine"]
    assert devices.disks[0].source is not None
    assert devices.disks[0].source.index is None
    assert devices.serials[0].sources == []
    assert devices.consoles[0].tty is None
    assert devices.channels[0].target.state is None
    assert [(each.port, each.websocket) for each in devices.graphics] == [(-1, -1), (5999, None)]
    assert running == parse_domain(RUNNING)
