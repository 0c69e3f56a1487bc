"""The board of the machine and what runs it: ``-machine`` and ``-accel``.

The order of the words is libvirt's (qemuBuildMachineCommandLine); the words are QEMU's.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.domain import DomainType
from vmherd.conf.domain.features import Features
from vmherd.conf.domain.os import LoaderType
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu import machine
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import clock, iommu, memory, numa, security
from vmherd.hypervisors.qemu.command.cpu import switch


def arguments(domain: Domain, caps: Capabilities) -> list[str]:
    """The machine type with its options, and the accelerator."""
    return ["-machine", ",".join(_machine(domain, caps)), "-accel", ",".join(_accelerator(domain))]


def _machine(domain: Domain, caps: Capabilities) -> list[str]:
    graphics = domain.os.bios is not None and domain.os.bios.useserial
    return [
        machine.name(domain),
        "usb=off",
        *_switches(domain.features or Features()),
        *_wrapped_keys(domain, caps),
        *_features(domain.features or Features()),
        *iommu.machine_words(domain),
        f"dump-guest-core={switch(bool(domain.memory.dump_core))}",
        *(["graphics=off"] if graphics else []),  # SeaBIOS then talks on the first serial line
        *memory.machine_words(domain, caps),
        *_flash(domain),
        *(["hmat=on"] if numa.has_performance(domain) else []),
        *security.machine_words(domain, caps),
        *clock.machine_words(domain, caps),
    ]


def _switches(features: Features) -> list[str]:
    words = []
    if features.vmport and features.vmport.state is not None:
        words.append(f"vmport={switch(features.vmport.state)}")
    if features.smm and features.smm.state is not None:
        words.append(f"smm={switch(features.smm.state)}")
    return words


def _wrapped_keys(domain: Domain, caps: Capabilities) -> list[str]:
    """Which keys of an s390x guest the machine wraps."""
    keys = domain.keywrap.ciphers if domain.keywrap else []
    return [f"{key.name}-key-wrap={switch(key.state)}" for key in keys if f"{key.name}-key-wrap" in caps]


_IRQ_CHIPS = {"kvm": "on", "qemu": "split"}


def _features(features: Features) -> list[str]:
    """Interrupt controllers, and the abilities of a pSeries guest."""
    words = []
    if features.ioapic and features.ioapic.driver in _IRQ_CHIPS:
        words.append(f"kernel_irqchip={_IRQ_CHIPS[features.ioapic.driver]}")
    if features.gic and features.gic.version:
        words.append(f"gic-version={features.gic.version}")
    if features.hpt and features.hpt.resizing:
        words.append(f"resize-hpt={features.hpt.resizing}")
    if features.hpt and features.hpt.maxpagesize:
        words.append(f"cap-hpt-max-page-size={features.hpt.maxpagesize >> 10}k")
    for name in ("htm", "nested_hv", "ccf_assist"):
        told = getattr(features, name)
        if told and told.state is not None:
            words.append(f"cap-{name.replace('_', '-')}={switch(told.state)}")
    guards = {name: getattr(features, name) for name in ("cfpc", "sbbc", "ibs")}
    return words + [f"cap-{name}={told.value}" for name, told in guards.items() if told]


def _flash(domain: Domain) -> list[str]:
    loader = domain.os.loader
    if loader is None or loader.type is not LoaderType.PFLASH:
        return []
    variables = ["pflash1=libvirt-pflash1-format"] if domain.os.nvram else []
    return ["pflash0=libvirt-pflash0-format", *variables]


_ACCELERATORS = {DomainType.KVM: "kvm", DomainType.QEMU: "tcg", DomainType.HVF: "hvf"}


def _accelerator(domain: Domain) -> list[str]:
    """What runs the guest's code, and how much memory that may take to keep books."""
    if domain.type not in _ACCELERATORS:
        raise Unsupported(f"QEMU cannot run domains of type {str(domain.type)!r}", place="domain/@type")
    words = [_ACCELERATORS[domain.type]]
    features = domain.features or Features()
    if domain.type is DomainType.QEMU and features.tcg and features.tcg.tb_cache:
        words.append(f"tb-size={features.tcg.tb_cache >> 20}")
    ring = features.kvm.dirty_ring if features.kvm else None
    if domain.type is DomainType.KVM and ring and ring.state:
        words.append(f"dirty-ring-size={ring.size}")
    return words
