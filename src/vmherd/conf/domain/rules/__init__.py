"""What no hypervisor could run, by subject: each rule yields a Problem for each thing wrong with a completed domain.

Source: src/conf/domain_validate.c of libvirt, and what its parser refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vmherd.conf.domain.domain import Domain
from vmherd.conf.domain.problem import Problem
from vmherd.conf.domain.rules import cpus, disks, features, inputs, labels, places, screens, sources, streams, tuning

Rule = Callable[[Domain], Iterator[Problem]]

RULES: tuple[Rule, ...] = (
    *cpus.RULES,
    *tuning.RULES,
    *features.RULES,
    *screens.RULES,
    *streams.RULES,
    *inputs.RULES,
    *disks.RULES,
    *sources.RULES,
    *labels.RULES,
    *places.RULES,
)
