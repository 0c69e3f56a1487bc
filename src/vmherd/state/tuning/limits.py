"""Limits of a document, as parameters by name: memory, disk access, CPU time, NUMA nodes, bandwidth, events.

Source: qemuDomainSetMemoryParameters, qemuDomainSetSchedulerParametersFlags and their siblings in libvirt.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.memory import MemTune
from vmherd.conf.domain.net import Bandwidth, Interface, Rate
from vmherd.conf.domain.power import PerfEvent, PerfEventName
from vmherd.conf.domain.vcpu import CpuTune, NumaMemory, NumaMode, NumaTune, Placement
from vmherd.driver.params import UNLIMITED_KIB, Params
from vmherd.errors import InvalidArgument, InvalidState, Unsupported
from vmherd.util.xmlmodel.scalars import format_cpus, parse_cpus

_KIB = 1024

#: The fields of <memtune> that QEMU guests can have.
_MEMORY = ("hard_limit", "soft_limit", "swap_hard_limit")


def memory(domain: Domain) -> Params:
    tune = domain.memtune or MemTune()
    return {name: UNLIMITED_KIB if (size := getattr(tune, name)) is None else size // _KIB for name in _MEMORY}


def set_memory(domain: Domain, params: Params) -> None:
    wanted = memory(domain) | params
    if int(wanted["hard_limit"]) > int(wanted["swap_hard_limit"]):
        raise InvalidArgument("memory hard_limit tunable value must be lower than or equal to swap_hard_limit")
    tune = domain.memtune or MemTune()
    for name in _MEMORY:
        size = int(wanted[name])
        setattr(tune, name, None if size >= UNLIMITED_KIB else size * _KIB)
    domain.memtune = tune if tune != MemTune() else None


#: The elements of <cputune> by their parameters, in libvirt's order.
CPU_TIME = {
    "cpu_shares": "shares",
    "vcpu_period": "period",
    "vcpu_quota": "quota",
    "emulator_period": "emulator_period",
    "emulator_quota": "emulator_quota",
    "global_period": "global_period",
    "global_quota": "global_quota",
    "iothread_period": "iothread_period",
    "iothread_quota": "iothread_quota",
}
#: What the kernel has where nothing was set.
UNSET = {name: 1024 if name == "cpu_shares" else -1 if name.endswith("quota") else 100000 for name in CPU_TIME}
#: Microseconds.  Source: VIR_CGROUP_CPU_PERIOD_MIN and its siblings
_RANGES = {"period": (1000, 1000000), "quota": (1000, 17592186044415)}


def cpu_time(domain: Domain) -> Params:
    """0 where nothing is set."""
    tune = domain.cputune or CpuTune()
    return {name: getattr(tune, field) or 0 for name, field in CPU_TIME.items()}


def set_cpu_time(domain: Domain, params: Params) -> None:
    for name, value in params.items():
        low, high = _RANGES.get(name.rpartition("_")[2], (0, 1 << 64))
        if int(value) not in (0, -1) and not low <= int(value) <= high:
            raise InvalidArgument(f"value of '{name}' is out of range [{low}, {high}]")
    tune = domain.cputune or CpuTune()
    for name, value in params.items():
        setattr(tune, CPU_TIME[name], int(value) or None)
    domain.cputune = tune if tune != CpuTune() else None


NUMA_MODES = (NumaMode.STRICT, NumaMode.PREFERRED, NumaMode.INTERLEAVE, NumaMode.RESTRICTIVE)


def numa(domain: Domain) -> Params:
    told = (domain.numatune.memory if domain.numatune else None) or NumaMemory()
    return {
        "numa_mode": NUMA_MODES.index(told.mode or NumaMode.STRICT),
        "numa_nodeset": format_cpus(told.nodeset or ()),
    }


def nodes(params: Params) -> tuple[int, ...] | None:
    """The nodes that parameters name; None for none, InvalidArgument for what is no set of them."""
    text = str(params.get("numa_nodeset", ""))
    if not text:
        return None
    try:
        return parse_cpus(text)
    except ValueError:
        raise InvalidArgument(f"Invalid nodeset of 'numatune': {text}", hint="write it like 0-1,3") from None


def set_numa(domain: Domain, params: Params) -> None:
    number, nodeset = params.get("numa_mode"), nodes(params)
    if number is not None and int(number) not in range(len(NUMA_MODES)):
        raise InvalidArgument(f"unsupported numatune mode: '{number}'")
    tune = domain.numatune or NumaTune()
    told = tune.memory or NumaMemory()
    mode = told.mode or NumaMode.STRICT
    if domain.id is not None and tune.memory:
        if number is not None and NUMA_MODES[int(number)] is not mode:
            raise InvalidState("can't change numatune mode for running domain")
        if nodeset and mode is not NumaMode.RESTRICTIVE:
            raise InvalidState("change of nodeset for running domain requires restrictive numa mode")
    nodeset = nodeset or told.nodeset
    if nodeset is None and told.placement is not Placement.AUTO:
        raise Unsupported("nodeset for NUMA memory tuning must be set if 'placement' is 'static'")
    mode = mode if number is None else NUMA_MODES[int(number)]
    placement = None if nodeset else told.placement
    tune.memory = NumaMemory(mode=mode, nodeset=nodeset, placement=placement)
    domain.numatune = tune


def interface(domain: Domain, device: str) -> Interface:
    """The card with this MAC address or device on the host; InvalidArgument if there is none."""
    for each in domain.devices.interfaces:
        if each.mac and each.mac.address.lower() == device.lower():
            return each
        if each.target and each.target.dev == device:
            return each
    raise InvalidArgument(f"'{device}' is not a known interface", hint="name its MAC address")


_RATES = {"inbound": ("average", "peak", "burst", "floor"), "outbound": ("average", "peak", "burst")}


def bandwidth(domain: Domain, device: str) -> Params:
    """0 where nothing is set."""
    return rates(interface(domain, device).bandwidth)


def rates(limits: Bandwidth | None) -> Params:
    """A card's limits by libvirt's names."""
    told = limits or Bandwidth()
    return {
        f"{way}.{name}": getattr(getattr(told, way), name, None) or 0 for way, names in _RATES.items() for name in names
    }


def set_bandwidth(domain: Domain, device: str, params: Params) -> None:
    """A direction that is told of is told in full; one without an average and a floor has no limit."""
    card = interface(domain, device)
    told = card.bandwidth or Bandwidth()
    for way, names in _RATES.items():
        given = {name: int(params[f"{way}.{name}"]) or None for name in names if f"{way}.{name}" in params}
        if given:
            setattr(told, way, Rate(**given) if given.get("average") or given.get("floor") else None)
    card.bandwidth = told if told.inbound or told.outbound else None


def events(domain: Domain) -> dict[str, bool]:
    counted = {event.name for event in domain.perf_events if event.enabled}
    return {str(name): name in counted for name in PerfEventName}


def set_events(domain: Domain, switched: dict[str, bool]) -> None:
    told = {event.name: event.enabled for event in domain.perf_events}
    told |= {PerfEventName(name): value for name, value in switched.items()}
    domain.perf_events = [PerfEvent(name=name, enabled=told[name]) for name in PerfEventName if name in told]
