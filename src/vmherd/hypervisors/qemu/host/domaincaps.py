"""What guests can have of one binary, as a document: how installers learn what they may ask for.

Source: virQEMUCapsFillDomainCaps of libvirt
"""

from __future__ import annotations

from vmherd.conf import domaincaps as document
from vmherd.conf.domain import Domain
from vmherd.conf.domain.cpu import CpuFallback, CpuFeature, CpuModel
from vmherd.conf.domain.domain import DomainType
from vmherd.conf.domain.os import Os, OsType
from vmherd.conf.domaincaps import Choices, Support, Usable
from vmherd.errors import InvalidArgument
from vmherd.hypervisors.qemu import board, machine
from vmherd.hypervisors.qemu.capabilities import Capabilities, CpuFacts, host_arch
from vmherd.hypervisors.qemu.host import firmware, hostcpu
from vmherd.hypervisors.qemu.host.accel import kvm_usable
from vmherd.hypervisors.qemu.host.hostcpu import HostCpu
from vmherd.util.xmlmodel import render

#: Values of the domain document, each with the capability that it needs ("" is always there).
_SCREENS = {"sdl": "sdl", "vnc": "vnc", "spice": "spice", "egl-headless": "egl-headless", "dbus": "display-dbus"}
_CARDS = {
    "vga": "VGA",
    "cirrus": "cirrus-vga",
    "vmvga": "vmware-svga",
    "qxl": "qxl",
    "virtio": "virtio-gpu",
    "none": "",
    "bochs": "bochs-display",
    "ramfb": "ramfb",
}
_RANDOM = {"random": "rng-random", "egd": "rng-egd", "builtin": "rng-builtin"}
_FOLDERS = {"path": "", "virtiofs": "vhost-user-fs"}
_TPMS = {"passthrough": "tpm-passthrough", "emulator": "tpm-emulator", "external": "tpm-emulator"}
_TPM_MODELS = {"tpm-tis": "tpm-tis", "tpm-crb": "tpm-crb", "tpm-spapr": "tpm-spapr"}
_FLAVOURS = ["virtio", "virtio-transitional", "virtio-non-transitional"]


def tell(caps: Capabilities, arch: str, machine_name: str, kind: str) -> str:
    """The document, as XML; what is "" is this host's best.  Raises InvalidArgument for no known machine or type."""
    found = caps.machine(machine_name or None)
    if found is None:
        text = (
            f"{caps.binary} has no machine {machine_name!r}"
            if machine_name
            else f"{caps.binary} has no default machine"
        )
        raise InvalidArgument(text, hint="name one that 'vmherd capabilities' lists")
    is_own = caps.arch == host_arch()
    kind = kind or (DomainType.KVM if is_own and kvm_usable().usable else DomainType.QEMU)
    if kind not in (DomainType.QEMU, DomainType.KVM):
        raise InvalidArgument(f"QEMU does not run guests of type {kind!r}", hint="use qemu or kvm")
    os = Os(type=OsType(name="hvm", arch=arch or caps.arch, machine=found.name))
    domain = Domain(type=DomainType(kind), name="", os=os)
    host = hostcpu.x86_host(caps.cpu(kind), hostcpu.processor()) if is_own and machine.is_x86(domain) else None
    return render(_describe(domain, caps, host))


def _describe(domain: Domain, caps: Capabilities, host: HostCpu | None) -> document.DomainCapabilities:
    """For guests of the type, architecture and machine of ``domain``, which is otherwise empty."""
    found = caps.machine(domain.os.type.machine)
    return document.DomainCapabilities(
        path=caps.binary,
        domain=domain.type,
        machine=found.name if found else domain.os.type.machine,
        arch=caps.arch,
        vcpu=document.VcpuLimit(max=found.max_cpus) if found and found.max_cpus else None,
        iothreads=Support(supported=True),
        os=_boot(domain),
        cpu=_cpu(domain, caps, host),
        memory_backing=_support(sourceType=["file", "anonymous", "memfd"]),
        devices=_devices(domain, caps),
        features=_features(caps),
    )


def _support(**values: list[str]) -> Support:
    return Support(supported=True, choices=[Choices(name=name, values=each) for name, each in values.items()])


def _there(values: dict[str, str], caps: Capabilities) -> list[str]:
    return [value for value, flag in values.items() if not flag or flag in caps]


def _boot(domain: Domain) -> document.OsSupport:
    builds = [each for each in firmware.installed() if firmware.is_for(each, domain)]
    kinds = [
        kind for kind, name in (("bios", "bios"), ("efi", "uefi")) if any(name in b.interface_types for b in builds)
    ]
    flash = [each.mapping.executable.filename for each in builds if isinstance(each.mapping, firmware.Flash)]
    secure = any("requires-smm" in each.features for each in builds)
    loader = document.LoaderSupport(
        supported=True,
        paths=list(dict.fromkeys(flash)),
        choices=[
            Choices(name="type", values=["rom", "pflash"]),
            Choices(name="readonly", values=["yes", "no"]),
            Choices(name="secure", values=["yes", "no"] if secure else ["no"]),
        ],
    )
    return document.OsSupport(supported=True, choices=[Choices(name="firmware", values=kinds)], loader=loader)


def _cpu(domain: Domain, caps: Capabilities, host: HostCpu | None) -> document.CpuSupport:
    facts, is_kvm = caps.cpu(domain.type), domain.type == "kvm"
    passthrough = document.HostPassthrough(supported=is_kvm)
    if is_kvm:
        passthrough.choices = [Choices(name="hostPassthroughMigratable", values=["on", "off"])]
    maximum = document.Maximum(supported=True)
    maximum.choices = [Choices(name="maximumMigratable", values=["on", "off"])]
    custom = document.Custom(supported=bool(facts.models), models=_models(facts))
    return document.CpuSupport(modes=[passthrough, maximum, _host_model(host), custom])


def _host_model(host: HostCpu | None) -> document.HostModel:
    if host is None or host.model.model is None:
        return document.HostModel(supported=False)
    return document.HostModel(
        supported=True,
        model=CpuModel(name=host.model.model, fallback=CpuFallback.FORBID),
        vendor=host.model.vendor,
        features=[CpuFeature(name=name, policy=policy) for name, policy in host.model.features.items()],
    )


def _models(facts: CpuFacts) -> list[document.NamedModel]:
    models = sorted(facts.models.items())
    return [document.NamedModel(name=name, usable=Usable.NO if lacks else Usable.YES) for name, lacks in models]


def _devices(domain: Domain, caps: Capabilities) -> document.DeviceSupport:
    return document.DeviceSupport(
        disk=_support(diskDevice=["disk", "cdrom", "floppy", "lun"], bus=_disk_buses(domain, caps), model=_FLAVOURS),
        graphics=_support(type=_there(_SCREENS, caps)),
        video=_support(modelType=_there(_CARDS, caps)),
        hostdev=_support(
            mode=["subsystem"],
            startupPolicy=["default", "mandatory", "requisite", "optional"],
            subsysType=["usb", "pci", "scsi"],
            capsType=[],
            pciBackend=["default", "vfio"] if "vfio-pci" in caps else [],
        ),
        rng=_support(model=_FLAVOURS, backendModel=_there(_RANDOM, caps)),
        filesystem=_support(driverType=_there(_FOLDERS, caps)),
        tpm=_support(model=_there(_TPM_MODELS, caps), backendModel=_there(_TPMS, caps), backendVersion=["1.2", "2.0"]),
        redirdev=_support(bus=["usb"] if "usb-redir" in caps else []),
        channel=_support(type=["pty", "unix", *(["spicevmc"] if "spice" in caps else [])]),
    )


def _disk_buses(domain: Domain, caps: Capabilities) -> list[str]:
    buses = ["ide"] if machine.is_i440fx(domain) else []
    buses += ["fdc"] if machine.is_x86(domain) and not machine.is_microvm(domain) else []
    buses += ["scsi", "virtio"]
    buses += ["usb"] if board.of(domain).usb else []
    return [*buses, "sata"] if "ich9-ahci" in caps and machine.pci_root(domain) else buses


def _features(caps: Capabilities) -> document.FeatureSupport:
    return document.FeatureSupport(
        vmcoreinfo=Support(supported="vmcoreinfo" in caps),
        genid=Support(supported="vmgenid" in caps),
        backing_store_input=Support(supported=True),
        backup=Support(supported=False),  # until it can be made
        sev=document.SevSupport(supported=False),
        sgx=document.SgxSupport(supported=False),
    )
