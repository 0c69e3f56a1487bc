"""What QEMU guests get that their document leaves open, after what every guest gets.

The result is the whole machine: defaults, implicit controllers and an address for each device, so that the
next start makes the same hardware.  Source: qemuDomainDefPostParse and qemuDomainDefAddDefaultDevices of libvirt.
"""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

from vmherd.conf.domain import Domain
from vmherd.conf.domain import complete as complete_generic
from vmherd.conf.domain.buses import number_controllers
from vmherd.conf.domain.chardev import ConsoleTargetType, SerialTargetType, TargetModel
from vmherd.conf.domain.controller import Controller, ControllerType
from vmherd.conf.domain.cpu import Cpu, CpuCheck, CpuFallback, CpuMatch, CpuMode, CpuModel
from vmherd.conf.domain.defaults import sources_of
from vmherd.conf.domain.disk import DiskBus, DiskDriver, ImageFormat
from vmherd.conf.domain.domain import DomainType
from vmherd.conf.domain.hostdev import HostdevType, MdevModel
from vmherd.conf.domain.input import Input, InputBus, InputType
from vmherd.conf.domain.memballoon import Memballoon, MemballoonModel
from vmherd.conf.domain.net import InterfaceModel, InterfaceType, PortParameters
from vmherd.conf.domain.panic import Panic, PanicModel
from vmherd.conf.domain.seclabel import Seclabel, SeclabelType
from vmherd.conf.domain.shmem import ShmemModel, ShmemModelRef, ShmemMsi
from vmherd.conf.domain.storage import EncryptionEngine, StorageFormat, StorageType
from vmherd.conf.domain.tpm import EmulatorTpm, TpmModel, TpmVersion
from vmherd.conf.domain.video import Video, VideoModel, VideoType
from vmherd.conf.domain.vsock import VsockModel
from vmherd.hypervisors.qemu import address, board, machine, memory, sounds
from vmherd.hypervisors.qemu.address import usb
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.config import DEFAULTS, Config
from vmherd.hypervisors.qemu.host import firmware, names
from vmherd.hypervisors.qemu.startup import channels, displays


def complete(
    domain: Domain,
    caps: Capabilities,
    *,
    new: bool = False,
    running: bool = False,
    nvram: Path | None = None,
    config: Config = DEFAULTS,
) -> None:
    """Complete ``domain`` in place; doing it twice changes nothing more.

    A ``new`` guest, or one that starts, also gets what an old definition is left without, lest its hardware change.
    Source: VIR_DOMAIN_DEF_PARSE_ABI_UPDATE of libvirt.
    Only the document of a ``running`` guest keeps paths that were made up for it.
    Variables of UEFI get a file in ``nvram``, or stay without a name.
    """
    if not running:
        channels.forget_generated(domain, config.channels)
        names.forget_generated(domain)
    _machine(domain, caps)
    number_controllers(domain.devices.controllers)
    _implicit_video(domain, caps)
    _default_controllers(domain, caps)
    complete_generic(domain, arch=caps.arch, numbered=True)
    if not running:
        displays.forget_generated(domain, config.guests)
    if nvram:
        firmware.name_variables(domain, nvram)
    _cpu(domain, caps)
    _migratable(domain, caps)
    _disks(domain)
    _nics(domain, caps)
    _hostdevs(domain, caps)
    _streams(domain)
    _inputs(domain)
    sounds.add_backend(domain, config)
    _panics(domain)
    _shared_memory(domain)
    _label(domain)
    _tpms(domain)
    if domain.devices.vsock:
        domain.devices.vsock.model = domain.devices.vsock.model or VsockModel.VIRTIO
    if domain.devices.memballoon is None:
        has_balloon = board.of(domain).has_balloon
        domain.devices.memballoon = Memballoon(model=MemballoonModel.VIRTIO if has_balloon else MemballoonModel.NONE)
    _controller_models(domain, caps)
    memory.complete(domain, new=new)
    address.assign(domain, caps)
    if new:
        usb.assign(domain)


def _machine(domain: Domain, caps: Capabilities) -> None:
    """The full name of the machine type, since an alias means another machine after the next upgrade."""
    kind = domain.os.type
    kind.arch = kind.arch or caps.arch
    found = caps.machine(kind.machine)
    if found:
        kind.machine = found.name
    domain.devices.emulator = domain.devices.emulator or caps.binary


def _default_controllers(domain: Domain, caps: Capabilities) -> None:
    controllers = domain.devices.controllers
    kinds = {controller.type for controller in controllers}
    parts = board.of(domain)
    if (
        ControllerType.USB not in kinds
        and (parts.has_usb or _uses_usb(domain))
        and (model := board.first(parts.usb, caps))
    ):
        controllers.append(Controller(type=ControllerType.USB, index=0, model=model))
    if machine.is_q35(domain) and ControllerType.SATA not in kinds:
        controllers.append(Controller(type=ControllerType.SATA, index=0))
    root = machine.pci_root(domain)
    if root and not any(c.type is ControllerType.PCI and c.index == 0 for c in controllers):
        controllers.append(Controller(type=ControllerType.PCI, index=0, model=root))


def _uses_usb(domain: Domain) -> bool:
    devices = domain.devices
    return bool(
        devices.hubs
        or devices.redirdevs
        or any(each.bus is InputBus.USB for each in devices.inputs)
        or any(each.target.bus is DiskBus.USB for each in devices.disks)
        or any(each.type is HostdevType.USB for each in devices.hostdevs)
    )


def _controller_models(domain: Domain, caps: Capabilities) -> None:
    parts = board.of(domain)
    for controller in domain.devices.controllers:
        if controller.type is ControllerType.USB and controller.model is None:
            controller.model = board.first(parts.usb, caps)
        elif controller.type is ControllerType.SCSI and controller.model is None:
            controller.model = board.first(parts.scsi, caps)


def _cpu(domain: Domain, caps: Capabilities) -> None:
    """The machine's default CPU, told plainly, so that it stays the same when the default changes."""
    cpu = domain.cpu
    if cpu is None or (cpu.mode is None and cpu.model is None and not cpu.features and not cpu.vendor):
        found = caps.machine(domain.os.type.machine)
        model = re.sub(r"-\w+-cpu$", "", found.default_cpu) if found else ""
        if not model or not machine.is_x86(domain):
            return
        domain.cpu = cpu = cpu or Cpu()
        cpu.mode, cpu.match, cpu.check = CpuMode.CUSTOM, CpuMatch.EXACT, CpuCheck.NONE
        cpu.model = CpuModel(name=model, fallback=CpuFallback.FORBID)
    elif cpu.check is None:
        # In software any model can be had, so there is nothing to compare with the host.
        compared = cpu.mode is CpuMode.CUSTOM and domain.type is not DomainType.QEMU
        cpu.check = CpuCheck.PARTIAL if compared or cpu.mode is CpuMode.HOST_MODEL else CpuCheck.NONE


def _migratable(domain: Domain, caps: Capabilities) -> None:
    """A host's CPU without what could not be migrated, where QEMU knows the difference."""
    cpu = domain.cpu
    if cpu and cpu.mode is CpuMode.HOST_PASSTHROUGH and cpu.migratable is None and machine.is_x86(domain):
        cpu.migratable = True if "cpu.migratable" in caps else None


def _disks(domain: Domain) -> None:
    for disk in domain.devices.disks:
        disk.driver = disk.driver or DiskDriver()
        disk.driver.name = disk.driver.name or "qemu"
        for encryption in (disk.encryption, *(source.encryption for source in sources_of(disk))):
            if encryption:
                encryption.engine = encryption.engine or EncryptionEngine.QEMU
        if disk.mirror and disk.mirror.format is None:
            disk.mirror.format = ImageFormat(type=StorageFormat.RAW)
            disk.mirror.format_name = StorageFormat.RAW if disk.mirror.file else None
        if disk.type is not StorageType.VOLUME:  # there the pool knows
            disk.driver.type = disk.driver.type or StorageFormat.RAW


_MODELS = frozenset(
    {"virtio", "virtio-transitional", "virtio-non-transitional", "e1000", "e1000e", "igb", "rtl8139", "vmxnet3"}
)


def _nics(domain: Domain, caps: Capabilities) -> None:
    for interface in domain.devices.interfaces:
        if interface.model is None and interface.type is not InterfaceType.HOSTDEV:
            interface.model = InterfaceModel(type=board.first(board.of(domain).cards, caps) or "virtio")
        elif interface.model and interface.model.type.lower() in _MODELS:  # libvirt takes these in any case
            interface.model.type = interface.model.type.lower()
        port = interface.virtualport
        if port and port.type == "openvswitch" and interface.type is InterfaceType.BRIDGE:
            port.parameters = port.parameters or PortParameters()
            port.parameters.interfaceid = port.parameters.interfaceid or str(uuid4())


def _hostdevs(domain: Domain, caps: Capabilities) -> None:
    """A virtual GPU shows nothing unless that is asked for.  Source: qemuDomainHostdevDefPostParse"""
    for hostdev in domain.devices.hostdevs:
        on_pci = hostdev.type is HostdevType.MDEV and hostdev.model is MdevModel.VFIO_PCI
        if on_pci and hostdev.display is None and "vfio-pci.display" in caps:
            hostdev.display = False


_SERIAL_MODELS = {
    SerialTargetType.ISA: "isa-serial",
    SerialTargetType.USB: "usb-serial",
    SerialTargetType.PCI: "pci-serial",
    SerialTargetType.ISA_DEBUG: "isa-debugcon",
}


def _streams(domain: Domain) -> None:
    parts = board.of(domain)
    for serial in domain.devices.serials:
        target = serial.target
        assert target is not None  # the generic step gives one to each
        if target.type is None:
            target.type = parts.serial
        model = _SERIAL_MODELS.get(target.type) or (parts.serial_model if target.type is parts.serial else None)
        if target.model is None and model:
            target.model = TargetModel(name=model)
    for console in domain.devices.consoles:
        if console.target and console.target.type is None:
            console.target.type = ConsoleTargetType.SERIAL


def _inputs(domain: Domain) -> None:
    """A PC always has a PS/2 mouse and keyboard."""
    if not board.of(domain).has_ps2:
        return
    inputs = domain.devices.inputs
    for kind in (InputType.MOUSE, InputType.KEYBOARD):
        if not any(each.type is kind and each.bus is InputBus.PS2 for each in inputs):
            inputs.append(Input(type=kind, bus=InputBus.PS2))


def _implicit_video(domain: Domain, caps: Capabilities) -> None:
    """A screen needs a graphics card."""
    devices = domain.devices
    if devices.graphics and not devices.videos:
        devices.videos.append(Video(model=VideoModel(type=VideoType.DEFAULT)))
    for video in devices.videos:
        if video.model is None or video.model.type is VideoType.DEFAULT:
            video.model = video.model or VideoModel(type=VideoType.DEFAULT)
            video.model.type = board.first(board.of(domain).screens, caps) or VideoType.VIRTIO


def _tpms(domain: Domain) -> None:
    """The model of the machine; the version that it has always had on a PC with TIS, else the newer one.

    Source: qemuDomainTPMDefPostParse of libvirt
    """
    for tpm in domain.devices.tpms:
        tpm.model = tpm.model or (TpmModel.SPAPR if machine.is_pseries(domain) else TpmModel.TIS)
        if isinstance(tpm.backend, EmulatorTpm) and tpm.backend.version is None:
            old = tpm.model is TpmModel.TIS and machine.is_x86(domain)
            tpm.backend.version = TpmVersion.V1_2 if old else TpmVersion.V2_0


def _panics(domain: Domain) -> None:
    """Where the firmware takes a panic in, there is always a device for it."""
    own, panics = board.of(domain).panic, domain.devices.panics
    if own and not panics:
        panics.append(Panic(model=own))
    for panic in panics:
        if panic.model in (None, PanicModel.DEFAULT):
            panic.model = own or (PanicModel.ISA if machine.is_x86(domain) else PanicModel.PVPANIC)


#: Bytes of shared memory that tells no size.
_SHARED = 4 << 20


def _shared_memory(domain: Domain) -> None:
    """Source: qemuDomainShmemDefPostParse of libvirt."""
    for each in domain.devices.shmems:
        kind = each.model.type if each.model else ShmemModel.IVSHMEM
        if kind is not ShmemModel.IVSHMEM_DOORBELL or each.server is None:  # without a server it becomes a plain one
            each.size = each.size or _SHARED
        if kind is ShmemModel.IVSHMEM:
            continue
        each.model = ShmemModelRef(type=ShmemModel.IVSHMEM_DOORBELL if each.server else ShmemModel.IVSHMEM_PLAIN)
        if each.server:
            each.msi = each.msi or ShmemMsi()
            each.msi.vectors = each.msi.vectors or 1
            each.msi.ioeventfd = True if each.msi.ioeventfd is None else each.msi.ioeventfd


def _label(domain: Domain) -> None:
    """A single label that leaves the security driver to the host gets the host's, which is none.

    Source: virSecurityLabelDefsParseXML of libvirt
    """
    if len(domain.seclabels) != 1:
        return
    [label] = domain.seclabels
    if label.model is None and (label.type is SeclabelType.NONE or (_is_dynamic(label) and not label.baselabel)):
        label.model = "none"
    if label.model == "none":
        label.type, label.relabel = SeclabelType.NONE, None


def _is_dynamic(label: Seclabel) -> bool:
    return label.type in (None, SeclabelType.DYNAMIC)
