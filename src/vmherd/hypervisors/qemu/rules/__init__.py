"""What QEMU cannot run, or libvirt would not let it, by subject.

Source: src/qemu/qemu_validate.c of libvirt; a rule that has another says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.rules import (
    cards,
    controllers,
    cpus,
    disks,
    features,
    filesystems,
    hostdevs,
    iommu,
    lines,
    memory,
    modules,
    passthrough,
    pci,
    screens,
    small,
    streams,
    timers,
    tpms,
)

Rule = Callable[[Domain], Iterator[Problem]]
RuleOfBinary = Callable[[Domain, Capabilities], Iterator[Problem]]

RULES: tuple[Rule, ...] = (
    *cpus.RULES,
    *features.RULES,
    *timers.RULES,
    *controllers.RULES,
    *pci.RULES,
    *cards.RULES,
    *hostdevs.RULES,
    *screens.RULES,
    *streams.RULES,
    *small.RULES,
    *passthrough.RULES,
    *tpms.RULES,
)

#: Those that depend on the binary, too.
OF_BINARY: tuple[RuleOfBinary, ...] = (
    *memory.RULES,
    *modules.RULES,
    *iommu.RULES,
    *disks.RULES,
    *filesystems.RULES,
    *tpms.OF_BINARY,
    *lines.OF_BINARY,
)
