"""A guest of each family of machines starts in the real QEMU for it, with devices on the buses the machine has."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from parts import make_disk

from vmherd.api.aio import Host

pytestmark = pytest.mark.qemu

GUEST = """
<domain type='qemu'>
  <name>foreign</name>
  <memory unit='MiB'>128</memory>
  <vcpu>2</vcpu>
  <os><type arch='{arch}' machine='{machine}'>hvm</type></os>
  <devices>
    <disk type='file'>
      <driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file'>
      <driver name='qemu' type='qcow2'/><source file='{second}'/><target dev='sda' bus='scsi'/>
    </disk>
    <controller type='scsi' model='{scsi}'/>
    <interface type='user'><model type='virtio'/></interface>
    <serial type='pty'/>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <graphics type='vnc' port='-1'/>
    <input type='keyboard' bus='{keyboard}'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <memballoon model='virtio'/>{more}
  </devices>
</domain>
"""
#: Architecture, machine, SCSI controller, the keyboard's bus, and a sign of the bus that virtio devices are on.
MACHINES = [
    ("x86_64", "pc", "lsilogic", "usb", "<address type='pci'"),
    ("x86_64", "q35", "virtio-scsi", "usb", "<controller type='pci' index='1' model='pcie-root-port'>"),
    ("x86_64", "microvm", "virtio-scsi", "virtio", "<address type='virtio-mmio'/>"),
    ("aarch64", "virt", "virtio-scsi", "usb", "<controller type='pci' index='0' model='pcie-root'>"),
    ("riscv64", "virt", "virtio-scsi", "usb", "<controller type='pci' index='0' model='pcie-root'>"),
    (
        "s390x",
        "s390-ccw-virtio",
        "virtio-scsi",
        "virtio",
        "<address type='ccw' cssid='0xfe' ssid='0x0' devno='0x0000'/>",
    ),
    ("ppc64", "pseries", "ibmvscsi", "usb", "<address type='spapr-vio' reg='0x30000000'/>"),
]


@pytest.mark.parametrize(("arch", "machine", "scsi", "keyboard", "sign"), MACHINES)
async def test_a_machine_starts(
    host: Host, tmp_path: Path, arch: str, machine: str, scsi: str, keyboard: str, sign: str
) -> None:
    if not shutil.which(f"qemu-system-{arch}"):
        pytest.skip(f"there is no qemu-system-{arch}")
    disk, second = make_disk(tmp_path), make_disk(tmp_path, "second.qcow2")
    more = "<nvram/>" if machine == "pseries" else ""
    text = GUEST.format(arch=arch, machine=machine, scsi=scsi, keyboard=keyboard, disk=disk, second=second, more=more)
    domain = await host.create(text)
    assert sign in await domain.xml()
    assert (await domain.info()).active
    await domain.poweroff()
