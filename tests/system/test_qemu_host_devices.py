"""Guests with devices of this host.  They take them away from the host, so a person names one that they may have."""

from __future__ import annotations

import os

import pytest

from vmherd.api.aio import Host

pytestmark = pytest.mark.qemu

GUEST = """
<domain type='{type}'>
  <name>taker</name>
  <maxMemory slots='2' unit='MiB'>1024</maxMemory>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <cpu mode='maximum'><numa><cell id='0' cpus='0' memory='64' unit='MiB'/></numa></cpu>
  <devices>{device}</devices>
  {beside}
</domain>
"""
USB = """<hostdev mode='subsystem' type='usb'><source>
  <vendor id='0x{0}'/><product id='0x{1}'/></source></hostdev>"""
PCI = """<hostdev mode='subsystem' type='pci' managed='yes'><source>
  <address domain='0x{0}' bus='0x{1}' slot='0x{2}' function='0x{3}'/></source></hostdev>"""
SCSI = """<hostdev mode='subsystem' type='scsi'><source>
  <adapter name='scsi_host{0}'/><address bus='{1}' target='{2}' unit='{3}'/></source></hostdev>"""
MDEV = "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='{0}'/></source></hostdev>"
TARGET = "<hostdev mode='subsystem' type='scsi_host'><source protocol='vhost' wwpn='{0}'/></hostdev>"
VDPA = "<interface type='vdpa'><source dev='{0}'/><model type='virtio'/></interface>"
SGX = "<memory model='sgx-epc'><target><size unit='MiB'>8</size><node>0</node></target></memory>"
SEV = """<launchSecurity type='sev'>
  <cbitpos>47</cbitpos><reducedPhysBits>1</reducedPhysBits><policy>0x1</policy></launchSecurity>"""


async def starts(host: Host, device: str = "", beside: str = "", kind: str = "qemu") -> None:
    domain = await host.create(GUEST.format(type=kind, device=device, beside=beside))
    assert (await domain.info()).active
    await domain.poweroff()


@pytest.mark.parametrize(
    ("variable", "example", "device"),
    [
        ("USB", "046d:c077", USB),
        ("PCI", "0000:06:12.0", PCI),
        ("SCSI", "0:0:1:0", SCSI),
        ("MDEV", "53764d0e-85a0-42b4-af5c-2046b460b1dc", MDEV),
        ("VHOST_SCSI", "naa.5123456789abcde0", TARGET),
        ("VDPA", "/dev/vhost-vdpa-0", VDPA),
    ],
)
async def test_a_device_that_a_guest_may_have_is_handed_over(
    host: Host, variable: str, example: str, device: str
) -> None:
    named = os.environ.get(f"VMHERD_TEST_{variable}")
    if not named:
        pytest.skip(f"no device is named that a guest may have: VMHERD_TEST_{variable}={example}")
    parts = named.replace(".", ":").split(":") if variable in ("USB", "PCI", "SCSI") else [named]
    await starts(host, device.format(*parts))
    scsi = "<controller type='scsi' model='virtio-scsi'/>"
    domain = await host.create(GUEST.format(type="qemu", device=scsi, beside=""), paused=True)
    before = await domain.xml()
    await domain.devices.attach(device.format(*parts))
    assert await domain.xml() != before
    await domain.poweroff()


@pytest.mark.skipif(not os.path.exists("/dev/sgx_vepc"), reason="this processor has no SGX: /dev/sgx_vepc")
async def test_enclaves_have_memory(host: Host) -> None:
    await starts(host, SGX, kind="kvm")


@pytest.mark.skipif(not os.path.exists("/dev/sev"), reason="this processor has no SEV: /dev/sev")
async def test_memory_is_encrypted(host: Host) -> None:
    await starts(host, beside=SEV, kind="kvm")
