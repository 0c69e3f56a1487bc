"""Devices that this guest has and machines for tests lack: bridges, disks behind SCSI, NVMe, an IOMMU, and udev.

What is expected is what Debian's libvirtd tells of them, in the same guest.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from vmherd.driver.uri import parse_uri
from vmherd.errors import InvalidState
from vmherd.events import DeviceLifecycle, NodeDeviceEvent
from vmherd.resources.nodedev.driver import LocalDevices

pytestmark = pytest.mark.kernel("PCI bridges, SCSI, NVMe, VFIO")

CARD = Path("/sys/bus/pci/devices/0000:01:00.0")
TREE = """\
block_nvme0n1_QEMU_NVMe_Ctrl_N1_1 < pci_0000_00_04_0
block_sda_0QEMU_QEMU_HARDDISK_S1 < scsi_0_0_0_0
block_sr0 < scsi_0_0_1_0
computer <
net_enp1s0_52_54_00_00_77_01 < pci_0000_01_00_0
pci_0000_00_00_0 < computer
pci_0000_00_01_0 < computer
pci_0000_00_02_0 < computer
pci_0000_00_03_0 < computer
pci_0000_00_04_0 < computer
pci_0000_00_1f_0 < computer
pci_0000_00_1f_2 < computer
pci_0000_00_1f_3 < computer
pci_0000_01_00_0 < pci_0000_00_02_0
scsi_0_0_0_0 < scsi_target0_0_0
scsi_0_0_1_0 < scsi_target0_0_1
scsi_generic_sg0 < scsi_0_0_0_0
scsi_generic_sg1 < scsi_0_0_1_0
scsi_host0 < pci_0000_00_03_0
scsi_target0_0_0 < scsi_host0
scsi_target0_0_1 < scsi_host0"""
LINES = {
    "computer": "<product>Standard PC (Q35 + ICH9, 2009)</product>|<vendor>SeaBIOS</vendor>",
    "pci_0000_00_02_0": "<capability type='pci-bridge'/>|<link validity='cap' port='0' speed='16' width='32'/>",
    "pci_0000_01_00_0": "<name>virtio-pci</name>|<iommuGroup number='6'>|<link validity='sta' speed='2.5' width='1'/>",
    "block_nvme0n1_QEMU_NVMe_Ctrl_N1_1": "by-id/nvme-QEMU_NVMe_Ctrl_N1<|<model>QEMU NVMe Ctrl<|<size>1048576<",
    "block_sda_0QEMU_QEMU_HARDDISK_S1": "<bus>scsi<|<model>QEMU HARDDISK<|<vendor>QEMU<|<num_blocks>2048<",
    "block_sr0": "<devnode type='link'>/dev/cdrom</devnode>|<drive_type>cdrom<|<media_available>0<",
    "scsi_0_0_1_0": "<name>sr</name>|<type>cdrom</type>",
}


@pytest.fixture(scope="module", autouse=True)
def hardware() -> Iterator[None]:
    for driver in ("virtio_net", "virtio_scsi", "sd_mod", "sr_mod", "sg", "nvme", "vfio-pci"):
        subprocess.run(["modprobe", driver], check=True)
    deadline = time.monotonic() + 20
    while not all(Path("/sys/block", name).exists() for name in ("sda", "sr0", "nvme0n1")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    subprocess.run(["/lib/systemd/systemd-udevd", "--daemon"], check=True)
    subsystems = [f"--subsystem-match={name}" for name in ("block", "net")]
    subprocess.run(["udevadm", "trigger", "--action=add", *subsystems], check=True)
    subprocess.run(["udevadm", "settle"], check=True)
    yield
    # Other tests here are of a host without udev.
    subprocess.run(["udevadm", "control", "--exit"], check=True)
    shutil.rmtree("/run/udev")


@pytest.fixture
async def devices(tmp_path: Path) -> AsyncIterator[LocalDevices]:
    devices = await LocalDevices.open(parse_uri(f"qemu:///embed?root={tmp_path}"))
    yield devices
    await devices.close()


async def test_devices_are_those_that_libvirt_tells(devices: LocalDevices) -> None:
    found = await devices.device_list()
    infos = [info for info in found if not (info.name.startswith("net_") and info.parent == "computer")]
    assert "\n".join(f"{info.name} < {info.parent}".strip() for info in infos) == TREE
    for name, lines in LINES.items():
        document = await devices.device_xml(name)
        assert [line for line in lines.split("|") if line not in document] == [], document


async def test_a_card_goes_to_vfio_and_back_and_everybody_hears(devices: LocalDevices) -> None:
    name = "pci_0000_01_00_0"
    group = f"/dev/vfio/{os.path.basename(os.readlink(CARD / 'iommu_group'))}"
    async with await devices.events(NodeDeviceEvent) as events, asyncio.timeout(30):
        heard = aiter(events)
        await devices.device_detach(name)
        assert os.readlink(CARD / "driver").endswith("/vfio-pci")
        gone = await anext(heard)
        held = os.open(group, os.O_RDWR)
        for action in (devices.device_reattach, devices.device_reset, devices.device_detach):
            with pytest.raises(InvalidState):
                await action(name)
        os.close(held)
        await devices.device_reattach(name)
        back = await anext(heard)
    assert os.readlink(CARD / "driver").endswith("/virtio-pci")
    assert [(each.name, each.event) for each in (gone, back)] == [
        ("net_enp1s0_52_54_00_00_77_01", DeviceLifecycle.DELETED),
        ("net_enp1s0_52_54_00_00_77_01", DeviceLifecycle.CREATED),
    ]
