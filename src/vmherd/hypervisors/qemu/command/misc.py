"""The smaller device families, a few lines each."""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import SpaprVioAddress
from vmherd.conf.domain.memballoon import MemballoonModel
from vmherd.conf.domain.panic import PanicModel
from vmherd.conf.domain.rng import EgdBackend, RandomBackend, Rng
from vmherd.conf.domain.watchdog import WatchdogAction
from vmherd.hypervisors.qemu.command.backend import backend
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device, option, virtio, virtio_name
from vmherd.hypervisors.qemu.command.launch import Launch


def watchdog(domain: Domain) -> list[str]:
    """The watchdog, and what QEMU does when it bites."""
    dog = domain.devices.watchdog
    if dog is None:
        return []
    # A dump is made by us, which takes the guest to stand still first.
    action = WatchdogAction.PAUSE if dog.action is WatchdogAction.DUMP else dog.action
    args = device({"driver": str(dog.model), "id": alias(dog), **bus(dog, domain)})
    return [*args, "-watchdog-action", str(action)]


def balloon(domain: Domain) -> list[str]:
    """The device that gives memory back to the host."""
    each = domain.devices.memballoon
    if each is None or each.model is MemballoonModel.NONE:
        return []
    end: Properties = {
        "driver": virtio_name("virtio-balloon", each.model, each),
        **virtio(each.driver),
        "id": alias(each),
        "deflate-on-oom": each.autodeflate,
        "free-page-reporting": each.free_page_reporting,
    }
    return device({**end, **bus(each, domain)})


def rngs(domain: Domain, launch: Launch) -> list[str]:
    """Sources of randomness, from the host or an entropy daemon."""
    args: list[str] = []
    for rng in domain.devices.rngs:
        args += _rng_source(rng, launch)
        rate = {"max-bytes": rng.rate.bytes, "period": rng.rate.period or 1000} if rng.rate else {}
        name = virtio_name("virtio-rng", rng.model, rng)
        end: Properties = {"driver": name, **virtio(rng.driver), "rng": f"obj{alias(rng)}", "id": alias(rng)}
        args += device({**end, **rate, **bus(rng, domain)})
    return args


def _rng_source(rng: Rng, launch: Launch) -> list[str]:
    name, source = f"obj{alias(rng)}", rng.backend
    if isinstance(source, RandomBackend):
        path = source.path or "/dev/random"
        return option("-object", {"qom-type": "rng-random", "id": name, "filename": path})
    if isinstance(source, EgdBackend):
        daemon = {"qom-type": "rng-egd", "id": name, "chardev": f"char{alias(rng)}"}
        return backend(alias(rng), source, launch) + option("-object", daemon)
    return option("-object", {"qom-type": "rng-builtin", "id": name})


def panics(domain: Domain) -> list[str]:
    """The port through which a guest tells that its kernel gave up."""
    args: list[str] = []
    for panic in domain.devices.panics:
        if panic.model in (None, PanicModel.DEFAULT, PanicModel.ISA):
            args += device({"driver": "pvpanic", "ioport": getattr(panic.address, "iobase", None)})
        elif panic.model is PanicModel.PVPANIC:
            args += device({"driver": "pvpanic-pci", **bus(panic, domain)})
    return args


def cryptos(domain: Domain) -> list[str]:
    """Accelerators of cryptography, which QEMU computes itself or has the host's kernel compute."""
    args: list[str] = []
    for each in domain.devices.cryptos:
        backend = {"qom-type": f"cryptodev-backend-{each.backend.model}", "id": f"obj{alias(each)}"}
        args += option("-object", {**backend, "queues": each.backend.queues})
        end: Properties = {
            "driver": virtio_name("virtio-crypto", None, each),
            **virtio(each.driver),
            "cryptodev": backend["id"],
        }
        args += device({**end, "id": alias(each), **bus(each, domain)})
    return args


def nvram(domain: Domain) -> list[str]:
    """Non-volatile memory of a pSeries machine, at its address on the VIO bus."""
    each = domain.devices.nvram
    if each is None or not isinstance(each.address, SpaprVioAddress):
        return []
    return ["-global", f"spapr-nvram.reg={each.address.reg or 0:#x}"]


def core_info(domain: Domain) -> list[str]:
    """Where the guest's kernel tells what a dump of its memory needs."""
    told = domain.features.vmcoreinfo if domain.features else None
    return device({"driver": "vmcoreinfo"}) if told and told.state else []
