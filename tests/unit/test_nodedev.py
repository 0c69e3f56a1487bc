"""Devices of the host: how those in sysfs are called and described, and what can be done to them.

The host is made up: a tree of files, and a kernel that acts when they are written.
"""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

from hardware import MDEV, VITAL, Hardware, mainframe, server
from vmherd.driver.uri import parse_uri
from vmherd.errors import (
    ArgumentUnsupported,
    HostError,
    InvalidArgument,
    InvalidState,
    NodeDeviceNotFound,
    OperationUnsupported,
    Unsupported,
    VmherdError,
)
from vmherd.events import NodeDeviceEvent
from vmherd.resources.nodedev import vpd
from vmherd.resources.nodedev.driver import LocalDevices
from vmherd.resources.nodedev.uevents import Uevent, read_message
from vmherd.state.places import of_uri

CARD = "pci_0000_01_00_0"
DEFINED = f"mdev_{MDEV.replace('-', '_')}_0000_00_02_0"
NEW = f"""<device><parent>pci_0000_00_02_0</parent><capability type='mdev'><type id='i915-GVTg_V5_4'/>
<uuid>{MDEV}</uuid>{{}}</capability></device>"""
PORT = """<device>{}<capability type='scsi_host'><capability type='fc_host'>
<wwnn>2000000000000009</wwnn><wwpn>2100000000000009</wwpn></capability></capability></device>"""

TREE = f"""\
block_sda_Samsung_SSD_850_S2R < scsi_0_0_0_0: storage
block_sr0 < computer: storage
computer < : system
drm_card0 < pci_0000_00_02_0: drm
net_enp1s0_52_54_00_12_34_56 < {CARD}: net
pci_0000_00_01_0 < computer: pci
pci_0000_00_02_0 < computer: pci mdev_types
pci_0000_00_05_0 < computer: pci
pci_0000_00_14_0 < computer: pci
pci_0000_00_1f_2 < computer: pci
{CARD} < pci_0000_00_01_0: pci vpd
pci_0000_01_10_0 < pci_0000_00_01_0: pci
scsi_0_0_0_0 < scsi_target0_0_0: scsi
scsi_generic_sg0 < scsi_0_0_0_0: scsi_generic
scsi_host0 < pci_0000_00_1f_2: scsi_host
scsi_host5 < pci_0000_00_05_0: scsi_host fc_host vports
scsi_target0_0_0 < scsi_host0: scsi_target
usb_1_1 < usb_usb1: usb_device
usb_1_1_1_0 < usb_1_1: usb
usb_usb1 < pci_0000_00_14_0: usb_device"""

#: Words that the document of a device must have, one after the other.
DOCUMENTS = {
    "computer": "<product>R740<|<vendor>Maker<|<serial>S1<|<uuid>4c4c4544-0034-3610-8052-b2c04f333332<|<vendor>Firm<",
    CARD: "<name>ixgbe<|<class>0x020000<|<bus>1<|<product id='0x1528'>|<capability type='virt_functions' maxCount='63'>"
    "|<address domain='0x0000' bus='0x01' slot='0x10' function='0x0'/>|<capability type='vpd'>|<iommuGroup number='7'>"
    "|<numa node='1'/>|<link validity='cap' port='3' speed='8' width='8'/>|<link validity='sta' speed='5' width='4'/>",
    "pci_0000_01_10_0": "<capability type='phys_function'>|bus='0x01' slot='0x00' function='0x0'",
    "pci_0000_00_01_0": "<capability type='pci-bridge'/>",
    "pci_0000_00_02_0": "<type id='i915-GVTg_V5_4'>|<deviceAPI>vfio-pci<|<availableInstances>3<",
    "net_enp1s0_52_54_00_12_34_56": "<interface>enp1s0<|<link speed='10000' state='up'/>|<capability type='80203'/>",
    "block_sda_Samsung_SSD_850_S2R": "<devnode type='dev'>/dev/sda<|<devnode type='link'>/dev/disk/by-id/ata-Samsung<"
    "|<bus>ata<|<drive_type>disk<|<model>Samsung SSD 850<|<vendor>ATA<|<size>500107862016<"
    "|<logical_block_size>4096<|<num_blocks>122096646<",
    "block_sr0": "<drive_type>cdrom<|<capability type='removable'>|<media_available>0<",
    "usb_1_1": "<bus>1<|<device>4<|<product id='0x0815'>Stick<|<vendor id='0xffee'>Own<",
    "usb_1_1_1_0": "<number>0<|<class>8<|<subclass>6<|<protocol>80<",
    "scsi_host5": "<unique_id>5<|<wwnn>2000000000000001<|<max_vports>127<|<vports>1<",
    "scsi_0_0_0_0": "<host>0<|<lun>0<|<type>disk<",
    "drm_card0": "<devnode type='dev'>/dev/dri/card0<|<devnode type='link'>/dev/dri/by-path|<type>primary<",
}


@pytest.fixture
def host(tmp_path: Path) -> Hardware:
    return server(tmp_path / "host")


@pytest.fixture
def devices(host: Hardware, tmp_path: Path) -> LocalDevices:
    return opened(host, tmp_path)


def opened(host: Hardware, folder: Path) -> LocalDevices:
    uri = parse_uri(f"qemu:///embed?root={folder / 'ours'}")
    return LocalDevices(uri, of_uri(uri, "nodedev"), host.root)


async def test_devices_are_named_as_libvirt_names_them_and_stand_on_each_other(devices: LocalDevices) -> None:
    infos = await devices.device_list()
    told = [f"{info.name} < {info.parent}: {' '.join(info.capabilities)}" for info in infos]
    assert "\n".join(told) == TREE


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_a_document_tells_what_the_kernel_does(devices: LocalDevices, name: str) -> None:
    text = await devices.device_xml(name)
    place = 0
    for words in DOCUMENTS[name].split("|"):
        place = text.find(words, place)
        assert place >= 0, (words, text)


async def test_channels_of_a_mainframe_are_told_without_those_that_lead_nowhere(tmp_path: Path) -> None:
    devices = opened(mainframe(tmp_path / "host"), tmp_path)
    infos = {info.name: (info.parent, " ".join(info.capabilities)) for info in await devices.device_list()}
    assert infos == {
        "ap_07_0038": ("ap_card07", "ap_queue"),
        "ap_card07": ("computer", "ap_card"),
        "ap_matrix": ("computer", "ap_matrix mdev_types"),
        "ccw_0_0_10f0": ("css_0_0_0070", "ccw"),
        "computer": ("", "system"),
        "css_0_0_0070": ("computer", "css"),
    }
    assert "<channel_dev_addr>" in await devices.device_xml("css_0_0_0070")


async def test_what_is_plugged_in_later_is_there(devices: LocalDevices, host: Hardware) -> None:
    await devices.device_list()
    host.pci("0000:00:09.0", "0x1af4", "0x1041", "0x020000")
    assert (await devices.device_find("pci_0000_00_09_0")).parent == "computer"
    with pytest.raises(NodeDeviceNotFound):
        await devices.device_find("pci_0000_00_0a_0")


async def test_a_card_goes_to_vfio_and_back(
    devices: LocalDevices, host: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    with host.obey(monkeypatch):
        await devices.device_detach(CARD)
        assert "<name>vfio-pci</name>" in await devices.device_xml(CARD)
        await devices.device_detach(CARD, "vfio")
        await devices.device_reattach(CARD)
        assert "<name>ixgbe</name>" in await devices.device_xml(CARD)
        await devices.device_reset(CARD)
    assert (host.sys / "bus/pci/devices/0000:01:00.0/reset").read_text() == "1"


async def test_a_mediated_device_lives_from_definition_to_oblivion(
    devices: LocalDevices, host: Hardware, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await devices.device_define(NEW.format("<attr name='assign' value='5'/>"))
    await devices.device_set_autostart(DEFINED, True)
    info = await devices.device_find(DEFINED)
    assert (info.active, info.persistent, info.autostart, info.parent) == (False, True, True, "pci_0000_00_02_0")
    with host.obey(monkeypatch):
        again = opened(host, tmp_path)  # as after a boot
        await again.attend()
        device = host.sys / "bus/mdev/devices" / MDEV
        assert (device / "assign").read_text() == "5"
        assert (await devices.device_find(DEFINED)).active
        assert "<attr name='assign' value='5'/>" in await devices.device_xml(DEFINED)
        await devices.device_destroy(DEFINED)
        await again.attend()
        assert not (await devices.device_find(DEFINED)).active, "it starts by itself once in a boot"
    await devices.device_undefine(DEFINED)
    with pytest.raises(NodeDeviceNotFound):
        await devices.device_find(DEFINED)
    assert list((host.root / "etc/mdevctl.d").iterdir()) == []


async def test_a_mediated_device_whose_attribute_is_refused_is_not_left(
    devices: LocalDevices, host: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    with host.obey(monkeypatch):
        for name in ("unknown", "../reset", "/etc/passwd"):
            with pytest.raises(HostError):
                await devices.device_create(NEW.format(f"<attr name='{name}' value='5'/>"))
            assert not (host.sys / "bus/mdev/devices" / MDEV).exists()
        assert (await devices.device_create(NEW.format(""))).name == DEFINED
        assert not (await devices.device_find(DEFINED)).persistent


async def test_what_a_killed_process_left_half_done_is_made_good(
    devices: LocalDevices, host: Hardware, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notes are those that a process leaves which is killed in the middle."""
    begun = tmp_path / "ours/run/nodedev/begun"
    with host.obey(monkeypatch):
        host.mediated(MDEV, "i915-GVTg_V5_4")
        (begun / f"make-{MDEV}").touch()
        (host.sys / "bus/pci/devices/0000:01:00.0/driver").unlink()
        (begun / "bind-0000:01:00.0").touch()
        await opened(host, tmp_path).attend()
    assert not (host.sys / "bus/mdev/devices" / MDEV).exists()
    assert "<name>ixgbe</name>" in await devices.device_xml(CARD)
    assert list(begun.iterdir()) == []


async def test_a_virtual_port_is_made_and_removed(
    devices: LocalDevices, host: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    with host.obey(monkeypatch):
        made = await devices.device_create(PORT.format("<parent>scsi_host5</parent>"))
        assert (made.name, made.parent) == ("scsi_host6", "scsi_host5")
        assert (await devices.device_by_wwn("2000000000000009", "2100000000000009")).name == "scsi_host6"
        with pytest.raises(Unsupported):
            await devices.device_destroy("scsi_host0")
        with pytest.raises(OperationUnsupported):
            await devices.device_destroy("scsi_host5")
        await devices.device_destroy("scsi_host6")
        with pytest.raises(NodeDeviceNotFound):
            await devices.device_find("scsi_host6")


@pytest.mark.parametrize(
    ("doing", "refusal"),
    [
        (("detach", CARD, "kvm"), ArgumentUnsupported),
        (("detach", CARD, "own"), InvalidArgument),
        (("detach", "computer"), InvalidArgument),
        (("reset", "pci_0000_00_14_0"), OperationUnsupported),
        (("destroy", CARD), Unsupported),
        (("start", CARD), InvalidState),
        (("undefine", CARD), InvalidState),
        (("set_autostart", CARD, True), OperationUnsupported),
        (("create", "<device><capability type='system'/></device>"), Unsupported),
        (("create", NEW.replace("<parent>pci_0000_00_02_0</parent>", "").format("")), InvalidArgument),
        (("create", NEW.replace("02_0", "03_0").format("")), NodeDeviceNotFound),
        (("create", NEW.replace("V5_4", "V5_8").format("")), HostError),
        (("create", PORT.format("<parent>scsi_host0</parent>")), OperationUnsupported),
    ],
)
async def test_what_cannot_be_done_is_refused(
    devices: LocalDevices, doing: tuple[object, ...], refusal: type[VmherdError]
) -> None:
    name, *arguments = doing
    with pytest.raises(refusal):
        await getattr(devices, f"device_{name}")(*arguments)


async def test_subscribers_hear_of_definitions_of_other_processes(
    devices: LocalDevices, host: Hardware, tmp_path: Path
) -> None:
    async with await devices.events() as events:
        await opened(host, tmp_path).device_define(NEW.format(""))
        async with asyncio.timeout(10):
            event = await anext(aiter(events))
    assert isinstance(event, NodeDeviceEvent)
    assert (event.name, event.event.name) == (DEFINED, "DEFINED")


def test_vital_data_that_are_cut_or_damaged_are_read_as_far_as_they_go() -> None:
    whole = vpd.read(VITAL)
    assert whole is not None
    assert [fields.access for fields in whole.fields] == ["readonly", "readwrite"]
    assert (whole.fields[0].serial_number, whole.fields[1].asset_tag) == ("serial1", "tag1")
    for end in range(len(VITAL)):
        vpd.read(VITAL[:end])
        vpd.read(VITAL[:end] + b"\xff" + VITAL[end + 1 :])
    assert vpd.read(b"") is None


@pytest.mark.parametrize(
    ("before", "sender", "is_heard"),
    [
        (b"change@/devices/x\0", 0, True),
        (b"change@/devices/x\0", 4711, False),  # some program says so
        (b"libudev\0" + bytes(8) + struct.pack("=II", 40, 33) + bytes(16), 4711, True),
        (b"libudev\0" + bytes(8) + struct.pack("=II", 4000, 33) + bytes(16), 4711, False),
        (b"libudev\0", 4711, False),
    ],
)
def test_of_messages_those_of_the_kernel_and_udev_are_heard(before: bytes, sender: int, is_heard: bool) -> None:
    told = read_message(before + b"ACTION=change\0DEVPATH=/devices/x\0", sender)
    assert told == (Uevent("change", "/devices/x") if is_heard else None)
