"""How each device is plugged in: PCI or PCI Express, or not at all.

Source: qemuDomainDeviceCalculatePCIConnectFlags and virDomainPCIControllerModelToConnectType of libvirt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vmherd.conf.domain.address import Device
from vmherd.conf.domain.chardev import Serial, SerialTargetType
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.conf.domain.crypto import Crypto
from vmherd.conf.domain.disk import Disk, DiskBus
from vmherd.conf.domain.filesystem import Filesystem
from vmherd.conf.domain.hostdev import Hostdev, HostdevMode, HostdevType, MdevModel
from vmherd.conf.domain.input import Input, InputBus
from vmherd.conf.domain.iommu import Iommu, IommuModel
from vmherd.conf.domain.memballoon import Memballoon, MemballoonModel
from vmherd.conf.domain.memdev import MemoryDevice, MemoryModel
from vmherd.conf.domain.net import Interface, InterfaceType
from vmherd.conf.domain.rng import Rng
from vmherd.conf.domain.shmem import Shmem
from vmherd.conf.domain.sound import Sound, SoundModel
from vmherd.conf.domain.video import Video, VideoType
from vmherd.conf.domain.vsock import Vsock
from vmherd.conf.domain.watchdog import Watchdog, WatchdogModel
from vmherd.hypervisors.qemu.address.slots import Kind, Plug

PCI = Plug(Kind.PCI)
PCIE = Plug(Kind.PCIE)
BUILT_IN = Plug(Kind.PCIE, hotplug=False, built_in=True)

_BRIDGES = {
    "pci-expander-bus": Plug(Kind.EXPANDER, hotplug=False),
    "pcie-expander-bus": Plug(Kind.PCIE_EXPANDER, hotplug=False),
    "pci-bridge": Plug(Kind.BRIDGE, hotplug=False),
    "dmi-to-pci-bridge": Plug(Kind.DMI, hotplug=False),
    "pcie-root-port": Plug(Kind.ROOT_PORT, hotplug=False, shares=True),
    "pcie-switch-upstream-port": Plug(Kind.UPSTREAM, hotplug=False),
    "pcie-switch-downstream-port": Plug(Kind.DOWNSTREAM, hotplug=False),
    "pcie-to-pci-bridge": Plug(Kind.PCIE_BRIDGE),
}
_SOUNDS = frozenset({SoundModel.ES1370, SoundModel.AC97, SoundModel.ICH6, SoundModel.ICH9})
_HOST_MODELS = frozenset({None, MdevModel.VFIO_PCI})


@dataclass(frozen=True)
class Plugs:
    """The plugs of one machine: ``express`` is that of PCI Express devices, which elsewhere is plain PCI."""

    express: Plug

    def of(self, device: Device) -> Plug | None:
        """None for what is not on PCI."""
        chosen = _BY_FAMILY.get(type(device))
        return chosen(self, device) if chosen else None

    def _virtio(self, model: object) -> Plug:
        """Transitional devices work in conventional slots only."""
        return PCI if model == "virtio-transitional" else self.express

    def _controller(self, controller: Controller) -> Plug | None:
        model = controller.model or ""
        match controller.type:
            case ControllerType.PCI:
                return _BRIDGES.get(model)
            case ControllerType.USB:
                return None if model == "none" else self.express if model.endswith("xhci") else PCI
            case ControllerType.IDE | ControllerType.SATA:
                return PCI
            case ControllerType.VIRTIO_SERIAL:
                return self._virtio(model)
            case ControllerType.SCSI:
                return self._virtio(model) if model.startswith("virtio") else None if model.startswith("ibm") else PCI
        return None

    def _interface(self, interface: Interface) -> Plug | None:
        if interface.type is InterfaceType.HOSTDEV:
            return self.express
        model = interface.model.type if interface.model else ""
        if model.startswith("virtio"):
            return self._virtio(model)
        return None if model == "usb-net" else self.express if model in ("e1000e", "vmxnet3", "igb") else PCI

    def _hostdev(self, hostdev: Hostdev) -> Plug | None:
        """A device of the host is taken for PCI Express, as nearly all are; one found to be older can be told a bus."""
        if hostdev.mode is not HostdevMode.SUBSYSTEM:
            return None
        match hostdev.type:
            case HostdevType.PCI:
                return self.express
            case HostdevType.MDEV:
                return self.express if hostdev.model in _HOST_MODELS else None
            case HostdevType.SCSI_HOST:
                return self._virtio(hostdev.model)
        return None

    def _video(self, video: Video) -> Plug | None:
        match video.model.type if video.model else VideoType.NONE:
            case VideoType.NONE | VideoType.RAMFB:
                return None
            case VideoType.VIRTIO:
                return self.express
            case VideoType.BOCHS:
                return self.express
        return PCI

    def _disk(self, disk: Disk) -> Plug | None:
        return self._virtio(disk.model) if disk.target.bus is DiskBus.VIRTIO else None

    def _memballoon(self, balloon: Memballoon) -> Plug | None:
        return None if balloon.model is MemballoonModel.NONE else self._virtio(balloon.model)

    def _input(self, each: Input) -> Plug | None:
        return self._virtio(each.model) if each.bus is InputBus.VIRTIO else None

    def _on_virtio(self, device: Device) -> Plug:
        return self._virtio(getattr(device, "model", None))

    def _sound(self, sound: Sound) -> Plug | None:
        return PCI if sound.model in _SOUNDS else None

    def _watchdog(self, watchdog: Watchdog) -> Plug | None:
        return PCI if watchdog.model is WatchdogModel.I6300ESB else None

    def _serial(self, serial: Serial) -> Plug | None:
        return PCI if serial.target and serial.target.type is SerialTargetType.PCI else None

    def _memory(self, memory: MemoryDevice) -> Plug | None:
        return self.express if memory.model in (MemoryModel.VIRTIO_PMEM, MemoryModel.VIRTIO_MEM) else None

    def _iommu(self, iommu: Iommu) -> Plug | None:
        return BUILT_IN if iommu.model is IommuModel.VIRTIO and self.express is not PCI else None

    def _shmem(self, _: Shmem) -> Plug:
        return PCI


_BY_FAMILY: dict[type[Device], Callable[[Plugs, Any], Plug | None]] = {
    Controller: Plugs._controller,
    Interface: Plugs._interface,
    Disk: Plugs._disk,
    Hostdev: Plugs._hostdev,
    Memballoon: Plugs._memballoon,
    Input: Plugs._input,
    Video: Plugs._video,
    Filesystem: Plugs._on_virtio,
    Rng: Plugs._on_virtio,
    Vsock: Plugs._on_virtio,
    Crypto: Plugs._on_virtio,
    Sound: Plugs._sound,
    Watchdog: Plugs._watchdog,
    Serial: Plugs._serial,
    MemoryDevice: Plugs._memory,
    Iommu: Plugs._iommu,
    Shmem: Plugs._shmem,
}
