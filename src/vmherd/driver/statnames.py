"""The counters of the bulk statistics: the type that libvirt gives each.

Source: virConnectGetAllDomainStats in libvirt's reference.
"""

from __future__ import annotations

import re
from functools import lru_cache
from types import MappingProxyType

from vmherd.driver.params import Kind, Table

_WORDS = {
    Kind.INT: "state.state state.reason vcpu.#.state dirtyrate.calc_status dirtyrate.calc_period",
    Kind.UINT: "cpu.cache.monitor.count cpu.cache.monitor.#.bank.count cpu.cache.monitor.#.bank.#.id "
    "cpu.cache.monitor.#.bank.#.bytes vcpu.current vcpu.maximum net.count block.count block.#.backingIndex "
    "iothread.count iothread.#.poll-grow iothread.#.poll-shrink memory.bandwidth.monitor.count "
    "memory.bandwidth.monitor.#.node.count memory.bandwidth.monitor.#.node.#.id",
    Kind.LLONG: "dirtyrate.calc_start_time dirtyrate.megabytes_per_second dirtyrate.vcpu.#.megabytes_per_second",
    Kind.BOOLEAN: "vcpu.#.halted",
    Kind.STRING: "cpu.cache.monitor.#.name cpu.cache.monitor.#.vcpus net.#.name block.#.name block.#.path "
    "memory.bandwidth.monitor.#.name memory.bandwidth.monitor.#.vcpus dirtyrate.calc_mode",
}

#: Names with "#" for each number; all others count something, as Kind.ULLONG.
NAMES: Table = MappingProxyType({name: kind for kind, names in _WORDS.items() for name in names.split()})

#: How the names of those end that the kernel may add to: their values tell what they are.
_KERNELS = (".sum", ".cur", ".max")

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


@lru_cache(maxsize=1 << 16)
def kind_of(name: str) -> Kind | None:
    """The type of a counter, such as "block.0.rd.bytes"; None for one of the kernel's, which its value tells."""
    if name.endswith(_KERNELS):
        return None
    return NAMES.get(_NUMBER.sub("#", name), Kind.ULLONG)
