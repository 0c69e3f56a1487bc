"""Whether bhyve can run a guest: what no bhyve takes, and what this host's cannot do yet.

Source: bhyveDomainDefPostParse, bhyveDomainDeviceDefValidate and virBhyveProcessBuildBhyveCmd of libvirt; bhyve(8)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vmherd.conf.domain import Domain, DomainType
from vmherd.conf.domain import problems as generic_problems
from vmherd.conf.domain.chardev import ChardevType
from vmherd.conf.domain.clock import ClockOffset
from vmherd.conf.domain.controller import ControllerType
from vmherd.conf.domain.cpu import CpuMode
from vmherd.conf.domain.os import LoaderType
from vmherd.conf.domain.problem import Problem, numbered, refuse
from vmherd.errors import Unsupported
from vmherd.hypervisors.bhyve import validate_devices
from vmherd.hypervisors.bhyve.capabilities import Capabilities, Feature


def check(domain: Domain) -> None:
    """Raise DocumentError for what makes no bhyve guest; ``domain`` is completed."""
    refuse([*generic_problems(domain), *(each for rule in _ALWAYS for each in rule(domain))], "domain")


def check_startable(domain: Domain, caps: Capabilities) -> None:
    """Raise Unsupported for what these binaries cannot run."""
    refuse([problem for rule in _AT_START for problem in rule(domain, caps)], "domain", Unsupported)


def _kind(domain: Domain) -> Iterator[Problem]:
    if domain.type is not DomainType.BHYVE:
        yield Problem("domain/@type", f"bhyve does not run guests of type {str(domain.type)!r}", "use type='bhyve'")
    if domain.os.type.name != "hvm":
        yield Problem("domain/os/type", f"bhyve does not run {domain.os.type.name!r} guests", "use <type>hvm</type>")
    if domain.os.type.arch not in (None, "x86_64", "i686"):
        text = f"bhyve does not run guests of architecture {domain.os.type.arch}"
        yield Problem("domain/os/type/@arch", text, "use arch='x86_64'")


def _roots(domain: Domain) -> Iterator[Problem]:
    for number, controller in numbered(domain.devices.controllers):
        root = controller.type is ControllerType.PCI and controller.model in ("pci-root", "pcie-root")
        if root and controller.index:
            place = f"domain/devices/controller[{number}]/@index"
            yield Problem(place, f"a {controller.model} is the bus itself", "use index='0'")


def _cpus(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    topology = domain.cpu.topology if domain.cpu else None
    if topology is None:
        return
    place = "domain/cpu/topology"
    if topology.dies != 1:
        yield Problem(f"{place}/@dies", "bhyve has one die in a socket", "leave dies out")
    if topology.sockets * topology.cores * topology.threads != _online(domain):
        yield Problem(place, "sockets, cores and threads make another number of CPUs than <vcpu>", "make both the same")
    if Feature.CPU_TOPOLOGY not in caps:
        yield Problem(place, "this bhyve cannot arrange CPUs in sockets", "remove <topology>, or use a newer bhyve")


def _cpu_model(domain: Domain, _: Capabilities) -> Iterator[Problem]:
    cpu = domain.cpu
    if cpu and (cpu.mode not in (None, CpuMode.HOST_PASSTHROUGH) or cpu.features or cpu.numa):
        yield Problem("domain/cpu", "bhyve guests see the host's CPU, on one NUMA node", "keep <topology> only")


#: Limits and places that bhyve knows nothing of.
_NOTHING = {
    "blkiotune": "blkiotune",
    "memtune": "memtune",
    "cputune": "cputune",
    "numatune": "numatune",
    "iothreads": "iothreads",
    "perf_events": "perf",
    "keywrap": "keywrap",
    "launch_security": "launchSecurity",
    "sysinfos": "sysinfo",
}


def _absent(domain: Domain, _: Capabilities) -> Iterator[Problem]:
    for name, tag in _NOTHING.items():
        if getattr(domain, name):
            yield Problem(f"domain/{tag}", f"bhyve has no <{tag}>", "remove it")


def _online(domain: Domain) -> int:
    return domain.vcpu.current or domain.vcpu.count


def _clock(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    offset = domain.clock.offset
    if offset not in (ClockOffset.UTC, ClockOffset.LOCALTIME):
        text = f"bhyve has no clock with offset {str(offset)!r}"
        yield Problem("domain/clock/@offset", text, "use offset='utc' or offset='localtime'")
    if offset is ClockOffset.UTC and Feature.RTC_UTC not in caps:
        text = "this bhyve has no clock in UTC"
        yield Problem("domain/clock/@offset", text, "use offset='localtime', or a newer bhyve")


def _firmware(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    loader = domain.os.loader
    if domain.bootloader is not None or loader is None:
        return
    if not loader.readonly or loader.type is not LoaderType.PFLASH:
        hint = "use <loader readonly='yes' type='pflash'>"
        yield Problem("domain/os/loader", "bhyve boots read-only flash images only", hint)
    if Feature.LPC_BOOTROM not in caps:
        hint = "remove <loader>, or use a newer bhyve"
        yield Problem("domain/os/loader", "this bhyve cannot boot UEFI", hint)


def _boot(domain: Domain, _: Capabilities) -> Iterator[Problem]:
    """Without UEFI a loader runs before bhyve, and wants to be told what."""
    if domain.bootloader and "grub-bhyve" not in domain.bootloader and domain.bootloader_args is None:
        hint = "add <bootloader_args>"
        yield Problem("domain/bootloader", "a loader of your own needs to be told its arguments", hint)
    for name in ("kernel", "initrd", "cmdline", "dtb"):
        if getattr(domain.os, name) is not None:
            hint = "use a bootloader such as grub-bhyve, or UEFI"
            yield Problem(f"domain/os/{name}", "bhyve boots no kernel of the host", hint)


def _environment(domain: Domain, _: Capabilities) -> Iterator[Problem]:
    if domain.bhyve_commandline and domain.bhyve_commandline.envs:
        yield Problem("domain/bhyve:commandline/bhyve:env", "bhyve reads no variables", "remove it")


def _serials(domain: Domain, _: Capabilities) -> Iterator[Problem]:
    for number, serial in numbered(domain.devices.serials):
        place = f"domain/devices/serial[{number}]"
        if serial.type is not ChardevType.NMDM:
            text = f"bhyve's serial ports are null modems, not of type {str(serial.type)!r}"
            yield Problem(f"{place}/@type", text, "use type='nmdm'")
        if serial.target and (serial.target.port or 0) > 1:
            yield Problem(f"{place}/target/@port", "there are two serial ports", "use port='0' or port='1'")


_ALWAYS: tuple[Callable[[Domain], Iterator[Problem]], ...] = (_kind, _roots)
_AT_START: tuple[Callable[[Domain, Capabilities], Iterator[Problem]], ...] = (
    _cpus,
    _cpu_model,
    _absent,
    _clock,
    _firmware,
    _boot,
    _serials,
    _environment,
    *validate_devices.RULES,
)
