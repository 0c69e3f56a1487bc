"""Whether a guest could tell two documents apart: its hardware must not change while its memory stays.

Of a guest that is saved, restored or migrated the document may be replaced where it speaks of this host: files, ports,
networks, tuning.  What the guest sees must stay.  Source: virDomainDefCheckABIStability of libvirt
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

from vmherd.conf.domain.domain import Devices, Domain
from vmherd.errors import Unsupported
from vmherd.util.xmlmodel import Element, render

#: What the guest sees beside its devices: the path in the document, and what it is called.
MACHINE = (
    ("type", "virt type"),
    ("name", "name"),
    ("uuid", "uuid"),
    ("genid", "genid"),
    ("memory.size", "max memory"),
    ("current_memory", "current memory"),
    ("max_memory.size", "maximum memory"),
    ("max_memory.slots", "memory device slots"),
    ("vcpu.count", "vCPU max"),
    ("vcpu.current", "vCPU count"),
    ("vcpus", "vCPU state"),
    ("iothreads", "iothreads count"),
    ("os.type.name", "OS type"),
    ("os.type.arch", "architecture"),
    ("os.type.machine", "machine type"),
    ("os.smbios.mode", "SMBIOS mode"),
    ("os.loader.type", "loader type"),
    ("os.loader.secure", "secure boot"),
    ("features", "features"),
    ("cpu.mode", "CPU mode"),
    ("cpu.match", "CPU match"),
    ("cpu.model.name", "CPU model"),
    ("cpu.model.vendor_id", "CPU vendor id"),
    ("cpu.vendor", "CPU vendor"),
    ("cpu.topology", "CPU topology"),
    ("cpu.cache", "CPU cache"),
    ("cpu.features", "CPU features"),
    ("cpu.numa", "NUMA topology"),
    ("clock.timers", "timers"),
    ("sysinfos", "sysinfo"),
    ("keywrap", "keywrap"),
    ("launch_security", "launch security"),
)

_VIRTIO = ("driver.iommu", "driver.ats", "driver.packed", "driver.page_per_vq")
_STREAM = ("target.type", "target.port", "target.model.name")

#: What the guest sees of each family of devices, beside how many there are and where.
DEVICES: dict[str, tuple[str, ...]] = {
    "disks": (
        *("device", "target.bus", "target.dev", "target.removable", "target.rotation_rate", "serial", "wwn", "vendor"),
        *("product", "readonly", "geometry", "blockio", *_VIRTIO),
    ),
    "controllers": ("type", "index", "model", "ports", "vectors", "target", "pci_model.name", "master", *_VIRTIO),
    "filesystems": ("model", "target.dir", "readonly", *_VIRTIO),
    "interfaces": ("mac.address", "model.type", *_VIRTIO),
    "inputs": ("type", "bus", "model", *_VIRTIO),
    "sounds": ("model", "codecs"),
    "videos": ("model.type", "model.ram", "model.vram", "model.vram64", "model.vgamem", "model.heads", *_VIRTIO),
    "hostdevs": ("mode", "type", "model", "display", "ramfb"),
    "smartcards": ("mode",),
    "serials": _STREAM,
    "parallels": ("target.port",),
    "channels": ("target.type", "target.address", "target.port", "target.name"),
    "consoles": ("target.type",),
    "hubs": ("type",),
    "redirdevs": ("bus",),
    "redirfilter": ("rules",),
    "watchdog": ("model",),
    "memballoon": ("model", "autodeflate", "free_page_reporting", *_VIRTIO),
    "rngs": ("model", *_VIRTIO),
    "nvram": (),
    "shmems": ("name", "model.type", "size", "role", "msi.vectors", "msi.ioeventfd"),
    "panics": ("model",),
    "memories": ("model", "target.size", "target.node", "target.label.size", "target.block"),
    "tpms": ("model", "backend.version"),
    "cryptos": ("model", "type", *_VIRTIO),
    "iommu": ("model", "driver"),
    "vsock": ("model", "cid.address", *_VIRTIO),
}


def check_same_hardware(source: Domain, target: Domain) -> None:
    """Raise Unsupported for the first thing by which a guest of ``source`` would notice ``target``.

    Both are completed, with their places spelled out.
    """
    for path, name in MACHINE:
        _same(f"domain {name}", _value(source, path), _value(target, path))
    for family, paths in DEVICES.items():
        olds, news = _members(source.devices, family), _members(target.devices, family)
        tag = (olds or news)[0].__xml__.tag if olds or news else family
        _same(f"domain {tag} count", len(olds), len(news))
        for old, new in zip(olds, news, strict=True):
            for path in (*paths, "address"):
                _same(f"{tag} {path.replace('.', ' ')}", _value(old, path), _value(new, path))


def _same(what: str, source: object, target: object) -> None:
    if source != target:
        raise Unsupported(
            f"Target {what} {_shown(target)} does not match source {_shown(source)}",
            hint="what the guest sees must stay as it is",
        )


def _value(element: object, path: str) -> Any:
    """What is at a path of the document; None where something on the way is absent."""
    return reduce(lambda found, name: getattr(found, name, None), path.split("."), element)


def _members(devices: Devices, family: str) -> Sequence[Element]:
    found = getattr(devices, family)
    if isinstance(found, list):
        return found
    return [] if found is None else [found]


def _shown(value: object) -> str:
    return " ".join(_words(value)) or "none"


def _words(value: object) -> Iterator[str]:
    if isinstance(value, Element):
        yield " ".join(render(value).split())
    elif isinstance(value, list):
        for each in value:
            yield from _words(each)
    elif value is not None:
        yield str(value)
