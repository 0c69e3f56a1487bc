"""What QEMU cannot run, or libvirt would not let it, by subject.

Source: src/qemu/qemu_validate.c of libvirt; a rule that has another says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.hypervisors.qemu.rules import controllers, cpus, features, passthrough, screens, small, streams, timers

Rule = Callable[[Domain], Iterator[Problem]]

RULES: tuple[Rule, ...] = (
    *cpus.RULES,
    *features.RULES,
    *timers.RULES,
    *controllers.RULES,
    *screens.RULES,
    *streams.RULES,
    *small.RULES,
    *passthrough.RULES,
)
