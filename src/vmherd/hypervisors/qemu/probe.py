"""Asks a QEMU binary what it can do.

It is started without a machine, speaks QMP and leaves again; this takes a few tenths of a second.
Source: the QMP reference of QEMU; capability names as in libvirt's qemu_capabilities.c.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from vmherd.errors import HostError, HypervisorError
from vmherd.hypervisors.qemu import cpuprobe
from vmherd.hypervisors.qemu.capabilities import Capabilities, Machine
from vmherd.hypervisors.qemu.monitor import Monitor, Refused, connected
from vmherd.util.process import end, identify, spawn
from vmherd.util.sockets import listen_unix

#: Seconds a QEMU may need to come up without a machine.
PATIENCE = 30.0

#: Capabilities that are there when QEMU has a device or object type of that name.
_BY_TYPE = {
    "AC97": "ac97",
    "ES1370": "es1370",
    "VGA": "VGA",
    "am53c974": "am53c974",
    "bochs-display": "bochs-display",
    "ccid-card-emulated": "ccid-emulated",
    "ccid-card-passthru": "ccid-passthru",
    "cirrus-vga": "cirrus-vga",
    "dc390": "dc390",
    "e1000": "e1000",
    "hda-duplex": "hda-duplex",
    "hda-micro": "hda-micro",
    "hda-output": "hda-output",
    "i82801b11-bridge": "dmi-to-pci-bridge",
    "ich9-ahci": "ich9-ahci",
    "ich9-intel-hda": "ich9-intel-hda",
    "ich9-usb-ehci1": "ich9-usb-ehci1",
    "intel-iommu": "intel-iommu",
    "ioh3420": "ioh3420",
    "iothread": "iothread",
    "kvm-pit": "kvm-pit-lost-tick-policy",
    "isa-serial": "isa-serial",
    "ivshmem-doorbell": "ivshmem-doorbell",
    "ivshmem-plain": "ivshmem-plain",
    "lsi53c895a": "lsi",
    "mch": "mch",
    "megasas": "megasas",
    "memory-backend-memfd": "memory-backend-memfd",
    "mptsas1068": "mptsas1068",
    "nec-usb-xhci": "nec-usb-xhci",
    "nvdimm": "nvdimm",
    "nvme": "nvme",
    "pc-dimm": "pc-dimm",
    "pci-bridge": "pci-bridge",
    "pci-ohci": "pci-ohci",
    "pci-serial": "pci-serial",
    "pcie-pci-bridge": "pcie-pci-bridge",
    "pcie-root-port": "pcie-root-port",
    "piix3-usb-uhci": "piix3-usb-uhci",
    "piix4-usb-uhci": "piix4-usb-uhci",
    "pr-manager-helper": "pr-manager-helper",
    "pvpanic": "pvpanic",
    "pvscsi": "pvscsi",
    "pxb": "pxb",
    "pxb-pcie": "pxb-pcie",
    "qemu-xhci": "qemu-xhci",
    "qxl": "qxl",
    "ramfb": "ramfb",
    "rng-builtin": "rng-builtin",
    "rng-egd": "rng-egd",
    "rng-random": "rng-random",
    "rtl8139": "rtl8139",
    "scsi-block": "scsi-block",
    "tpm-crb": "tpm-crb",
    "tpm-emulator": "tpm-emulator",
    "tpm-passthrough": "tpm-passthrough",
    "tpm-tis": "tpm-tis",
    "usb-audio": "usb-audio",
    "usb-ehci": "usb-ehci",
    "usb-hub": "usb-hub",
    "usb-kbd": "usb-kbd",
    "usb-redir": "usb-redir",
    "usb-serial": "usb-serial",
    "usb-storage": "usb-storage",
    "vfio-pci": "vfio-pci",
    "vhost-scsi": "vhost-scsi",
    "vhost-user-blk": "vhost-user-blk",
    "vhost-user-fs-device": "vhost-user-fs",
    "vhost-vsock-device": "vhost-vsock",
    "virtio-gpu-device": "virtio-gpu",
    "virtio-input-host-device": "virtio-input-host",
    "virtio-iommu-pci": "virtio-iommu-pci",
    "virtio-keyboard-device": "virtio-keyboard",
    "virtio-mem-pci": "virtio-mem-pci",
    "virtio-mmio": "virtio-mmio",
    "virtio-mouse-device": "virtio-mouse",
    "virtio-net-device": "virtio-net",
    "virtio-pmem-pci": "virtio-pmem-pci",
    "virtio-rng-device": "virtio-rng",
    "virtio-scsi-pci": "virtio-scsi-pci",
    "virtio-tablet-device": "virtio-tablet",
    "virtio-vga": "virtio-vga",
    "virtio-vga-gl": "virtio-vga-gl",
    "virtio-gpu-gl-pci": "virtio-gpu-gl-pci",
    "vhost-user-vga": "vhost-user-vga",
    "vhost-user-gpu": "vhost-user-gpu",
    "vmgenid": "vmgenid",
    "vmware-svga": "vmware-svga",
    "x3130-upstream": "x3130-upstream",
    "xio3130-downstream": "xio3130-downstream",
}

#: Capabilities that are there when a type of QEMU has a property.
_BY_PROPERTY = {
    ("intel-iommu", "aw-bits"): "intel-iommu.aw-bits",
    ("intel-iommu", "caching-mode"): "intel-iommu.caching-mode",
    ("intel-iommu", "device-iotlb"): "intel-iommu.device-iotlb",
    ("intel-iommu", "eim"): "intel-iommu.eim",
    ("intel-iommu", "intremap"): "intel-iommu.intremap",
    ("memory-backend-file", "pmem"): "memory-backend-file.pmem",
    ("memory-backend-file", "prealloc-threads"): "memory-backend-file.prealloc-threads",
    ("memory-backend-file", "reserve"): "memory-backend-file.reserve",
    (
        "memory-backend-file",
        "x-use-canonical-path-for-ramblock-id",
    ): "memory-backend-file.x-use-canonical-path-for-ramblock-id",
    ("memory-backend-memfd", "hugetlb"): "memory-backend-memfd.hugetlb",
    ("nvdimm", "unarmed"): "nvdimm.unarmed",
    ("sev-guest", "kernel-hashes"): "sev-guest-kernel-hashes",
    ("virtio-iommu-pci", "boot-bypass"): "virtio-iommu.boot-bypass",
    ("virtio-mem-pci", "prealloc"): "virtio-mem-pci.prealloc",
}

#: Capabilities that are there when this host's hardware has it, so that a command of QEMU does not fail.
_BY_HARDWARE = {"query-sev-capabilities": "sev-guest", "query-sgx-capabilities": "sgx-epc"}

#: Capabilities that are there when QEMU has a command of that name.
_BY_COMMAND = {
    "blockdev-reopen": "blockdev-reopen",
    "block-export-add": "block-export-add",
    "calc-dirty-rate": "calc-dirty-rate",
    "query-cpu-definitions": "query-cpu-definitions",
    "query-cpu-model-expansion": "query-cpu-model-expansion",
    "query-dirty-rate": "query-dirty-rate",
    "query-spice": "spice",
    "query-vnc": "vnc",
    "query-hotpluggable-cpus": "query-hotpluggable-cpus",
    "query-stats": "query-stats",
    "query-stats-schemas": "query-stats-schemas",
    "set-action": "set-action",
}

#: What QEMU cannot be asked for, by the version that brought it (QEMU's change logs).
_BY_VERSION = {
    "nbd-tls": (2, 6, 0),
    "compat-deprecated": (6, 0, 0),
    "cpu.migratable": (2, 12, 0),
    "drive-nvme": (2, 12, 0),
    "aio.io_uring": (5, 0, 0),
    "rbd-encryption": (6, 1, 0),
    "blockdev.nbd.tls-hostname": (7, 0, 0),
    "smp-dies": (4, 1, 0),
    "netdev.json": (6, 2, 0),
    "device.json+hotplug": (6, 2, 0),
    "object.qapified": (6, 0, 0),
    "virtio-blk.queue-size": (6, 2, 0),
    "netdev.stream": (7, 2, 0),
    "thread-context": (7, 2, 0),
    "confidential-guest-support": (6, 0, 0),
    "numa.hmat": (5, 0, 0),
}

#: The version that made an option of the machine out of one of its own.
_HPET_ON_MACHINE = (8, 0, 0)


async def probe(binary: Path, accelerators: Sequence[str]) -> Capabilities:
    """Start ``binary`` once for each accelerator, ask, and end it.

    Raises HostError if it cannot be run, HypervisorError with its own words if it does not speak QMP.
    """
    async with _talking(binary, accelerators[0]) as monitor:
        found = await _ask(binary, monitor)
        cpus = {accelerators[0]: await cpuprobe.ask(monitor, accelerators[0])}
    for accelerator in accelerators[1:]:
        if accelerator in found:
            async with _talking(binary, accelerator) as monitor:
                cpus[accelerator] = await cpuprobe.ask(monitor, accelerator)
    return msgspec.structs.replace(found, cpus=cpus)


@asynccontextmanager
async def _talking(binary: Path, accelerator: str) -> AsyncIterator[Monitor]:
    """The monitor of a QEMU without a machine."""
    with tempfile.TemporaryDirectory(prefix="vmherd-probe-") as folder, tempfile.TemporaryFile() as output:
        socket = Path(folder) / "monitor.sock"
        with listen_unix(socket) as server:
            pid = _spawn(binary, accelerator, server.fileno(), output.fileno())
        process = identify(pid)
        try:
            async with connected(socket, patience=PATIENCE) as monitor:
                yield monitor
        except HypervisorError as problem:
            words = _words(output.fileno())
            raise HypervisorError(
                f"{binary} is not a QEMU we can talk to: {words or problem.message}",
                hint="name a QEMU system emulator, version 5.0 or newer, in <emulator>",
            ) from problem
        finally:
            if process:
                await end(process, patience=2.0)


def _spawn(binary: Path, accelerator: str, monitor: int, output: int) -> int:
    argv = [
        str(binary), "-S", "-no-user-config", "-nodefaults", "-nographic", "-machine", f"none,accel={accelerator}",
        "-chardev", f"socket,id=monitor,fd={monitor},server=on,wait=off", "-mon", "chardev=monitor,mode=control",
    ]  # fmt: skip
    try:
        return spawn(argv, output=output, pass_fds=[monitor])
    except OSError as problem:
        raise HostError(f"cannot run {binary}: {problem.strerror}") from problem


def _words(fd: int) -> str:
    return os.pread(fd, 2048, 0).decode(errors="replace").strip()


async def _ask(binary: Path, monitor: Monitor) -> Capabilities:
    told = await monitor.execute("query-version")
    version = (told["qemu"]["major"], told["qemu"]["minor"], told["qemu"]["micro"])
    types = {each["name"] for each in await monitor.execute("qom-list-types")}
    commands = {each["name"] for each in await monitor.execute("query-commands")}
    return Capabilities(
        binary=str(binary),
        version=version,
        package=told["package"],
        arch=(await monitor.execute("query-target"))["arch"],
        machines=[_machine(each) for each in await monitor.execute("query-machines")],
        flags=_flags(types, commands, version) | await _properties(monitor, types) | await _hardware(monitor, commands),
    )


async def _properties(monitor: Monitor, types: set[str]) -> set[str]:
    found = set()
    for name in {name for name, _ in _BY_PROPERTY} & types:
        told = {each["name"] for each in await monitor.execute(_listing(name), {"typename": name})}
        found |= {flag for (owner, key), flag in _BY_PROPERTY.items() if owner == name and key in told}
    return found


def _listing(name: str) -> str:
    """Objects and devices are asked in different ways."""
    return "qom-list-properties" if name.startswith(("memory-backend", "sev-guest")) else "device-list-properties"


async def _hardware(monitor: Monitor, commands: set[str]) -> set[str]:
    found = set()
    for command in _BY_HARDWARE.keys() & commands:
        with suppress(Refused):
            await monitor.execute(command)
            found.add(_BY_HARDWARE[command])
    return found


def _machine(told: dict[str, Any]) -> Machine:
    return Machine(
        name=told["name"],
        alias=told.get("alias", ""),
        max_cpus=told["cpu-max"],
        default=told.get("is-default", False),
        deprecated=told["deprecated"],
        default_cpu=told.get("default-cpu-type", ""),
        default_ram=told.get("default-ram-id", ""),
        hotplug_cpus=told["hotpluggable-cpus"],
    )


def _flags(types: set[str], commands: set[str], version: tuple[int, int, int]) -> frozenset[str]:
    found = {flag for name, flag in _BY_TYPE.items() if name in types}
    found |= {flag for name, flag in _BY_COMMAND.items() if name in commands}
    found |= {flag for flag, since in _BY_VERSION.items() if version >= since}
    if "kvm-accel" in types:
        found.add("kvm")
    if "tcg-accel" in types:
        found.add("tcg")
    if "hpet" in types:
        found.add("machine-hpet" if version >= _HPET_ON_MACHINE else "no-hpet")
    return frozenset(found)
