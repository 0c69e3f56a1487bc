"""bhyve's own words: the commands that run a guest, read and written.

Source: bhyveParseCommandLineString and bhyveConnectDomainXMLToNative of libvirt; bhyve(8), bhyveload(8)
"""

from __future__ import annotations

import getopt
import os
import re
import shlex
from pathlib import PurePath

from vmherd.conf.domain import Domain, DomainType
from vmherd.conf.domain.clock import Clock, ClockOffset
from vmherd.conf.domain.cpu import Cpu, CpuTopology
from vmherd.conf.domain.features import Apic, Features, Msrs
from vmherd.conf.domain.memory import Memory, MemoryBacking
from vmherd.conf.domain.net import Interface
from vmherd.conf.domain.os import Os, OsType
from vmherd.conf.domain.power import LifecycleAction
from vmherd.conf.domain.vcpu import Vcpu
from vmherd.driver.native import NativeFormat, Reading
from vmherd.errors import DocumentError
from vmherd.hypervisors.bhyve import command, complete, firmware, validate
from vmherd.hypervisors.bhyve.capabilities import CURRENT
from vmherd.hypervisors.bhyve.native_devices import DeviceReader, is_number
from vmherd.util.xmlmodel import scale

_OPTIONS = "abeuhwxACDHIPSWYc:f:g:G:k:K:l:m:o:p:r:s:U:"
_LOADER_OPTIONS = "CSc:d:e:h:l:m:"
#: Options of every guest that libvirt writes, so that nothing is lost without a word on them.
_ALWAYS = frozenset({"-H", "-P"})
_MIB = 1 << 20
_FIRST_PORT = 5900


def read(text: str) -> Reading:
    """The guest that a bhyve command runs, with its loader's, each on a line.  Raises DocumentError."""
    loader, bhyve = _commands(text)
    reader = _Reader()
    reader.bhyve(bhyve)
    if loader and PurePath(loader[0]).name == "bhyveload":
        reader.bhyveload(loader)
    elif loader:
        reader.other_loader(loader)
    return Reading(domain=reader.domain, ignored=reader.ignored)


def _commands(text: str) -> tuple[list[str] | None, list[str]]:
    """The loader's words, if there is one, and those of bhyve."""
    loader = bhyve = None
    for line in text.replace("\\\n", " ").splitlines():
        try:
            words = shlex.split(line)
        except ValueError as problem:
            raise DocumentError(f"this is no shell command: {line!r}: {problem}") from None
        if not words:
            continue
        if PurePath(words[0]).name == "bhyve":
            if bhyve:
                raise DocumentError("there are two bhyve commands", hint="give those of one guest")
            bhyve = words
        elif loader:
            raise DocumentError("there is more than a loader and bhyve", hint="give those of one guest")
        else:
            loader = words
    if not bhyve:
        raise DocumentError("there is no bhyve command", hint="give the line that begins with /usr/sbin/bhyve")
    return loader, bhyve


def memory_size(text: str) -> int:
    """Bytes; a number without a unit that would be less than 1 MiB counts MiB.  Source: vm_parse_memsize(3)"""
    found = re.fullmatch(r"([0-9]{1,18})([kmgtKMGT]?)", text)
    if not found:
        hint = "write it like 512, 512M or 2G"
        raise DocumentError(f"{text!r} is no size of memory", place="bhyve -m", hint=hint)
    number = int(found[1])
    if found[2]:
        return number * scale(found[2])
    return number * _MIB if number < _MIB else number


def _options(words: list[str], known: str) -> tuple[list[tuple[str, str]], list[str]]:
    try:
        return getopt.gnu_getopt(words[1:], known)
    except getopt.GetoptError as problem:
        raise DocumentError(f"{words[0]}: {problem}", hint="see its manual page") from None


class _Reader:
    """Fills ``domain`` in; ``ignored`` tells what is left over."""

    def __init__(self) -> None:
        self.domain = Domain(
            type=DomainType.BHYVE,
            name="",
            memory=Memory(size=0),
            os=Os(type=OsType(name="hvm")),
            clock=Clock(offset=ClockOffset.LOCALTIME),
            on_reboot=LifecycleAction.DESTROY,
        )
        self.ignored: list[str] = []
        self._devices = DeviceReader(self.domain.devices, self.ignored)

    def bhyve(self, words: list[str]) -> None:
        options, names = _options(words, _OPTIONS)
        for option, value in options:
            self._option(option, value)
        self._name(words[0], names)
        if not self.domain.memory.size:
            self._memory("256M")  # what bhyve gives a guest that is told nothing

    def _option(self, option: str, value: str) -> None:
        domain = self.domain
        match option:
            case "-A":
                self._features().acpi = True
            case "-I":
                self._features().apic = Apic()
            case "-w":
                self._features().msrs = Msrs(unknown="ignore")
            case "-u":
                domain.clock.offset = ClockOffset.UTC
            case "-S":
                domain.memory_backing = MemoryBacking(locked=True)
            case "-c":
                self._cpus(value)
            case "-m":
                self._memory(value)
            case "-U":
                self._uuid(value)
            case "-s":
                self._devices.pci(value)
            case "-l":
                self._devices.lpc(value)
            case _ if option not in _ALWAYS:
                self.ignored.append(f"{option} {value}".rstrip())

    def _features(self) -> Features:
        self.domain.features = self.domain.features or Features()
        return self.domain.features

    def _cpus(self, value: str) -> None:
        """A number, or like cpus=4,sockets=1,cores=2,threads=2, where what is left out is 1."""
        told = dict(each.partition("=")[::2] for each in value.split(","))
        if is_number(value):
            told = {"cpus": value}
        if not told.keys() <= {"cpus", "sockets", "cores", "threads"} or not all(map(is_number, told.values())):
            raise DocumentError(f"{value!r} is no number of CPUs", place="bhyve -c", hint="write it like 2")
        sockets, cores, threads = (int(told.get(name, "1")) for name in ("sockets", "cores", "threads"))
        self.domain.vcpu = Vcpu(count=int(told.get("cpus", sockets * cores * threads)))
        if told.keys() - {"cpus"}:
            self.domain.cpu = Cpu(topology=CpuTopology(sockets=sockets, cores=cores, threads=threads))

    def _memory(self, value: str) -> None:
        size = memory_size(value)
        if self.domain.memory.size not in (0, size):
            hint = "give the commands of one guest"
            raise DocumentError("the loader and bhyve are told different sizes of memory", hint=hint)
        self.domain.memory.size = self.domain.current_memory = size

    def _uuid(self, value: str) -> None:
        if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
            raise DocumentError(f"{value!r} is no UUID", place="bhyve -U", hint="leave -U out to get a new one")
        self.domain.uuid = value.lower()

    def _name(self, program: str, names: list[str]) -> None:
        if len(names) != 1:
            text = "the name of the guest is missing" if not names else f"{names[1]!r} is too much"
            raise DocumentError(f"{program}: {text}", hint="its last word is the name of the guest")
        if self.domain.name not in ("", names[0]):
            text = f"the loader and bhyve name different guests: {names[0]!r} and {self.domain.name!r}"
            raise DocumentError(text, hint="give the commands of one guest")
        self.domain.name = names[0]

    def bhyveload(self, words: list[str]) -> None:
        """One that is told no more than memory and disk is what every guest gets, so it is not kept."""
        options, names = _options(words, _LOADER_OPTIONS)
        for option, value in options:
            if option == "-m":
                self._memory(value)
        self._name(words[0], names)
        wired = {"-S"} if self.domain.memory_backing else set()
        if {option for option, _ in options} - wired != {"-m", "-d"}:
            self.other_loader(words)

    def other_loader(self, words: list[str]) -> None:
        self.domain.bootloader = words[0]
        self.domain.bootloader_args = " ".join(words[1:])


async def write(domain: Domain) -> str:
    """The commands that run a document: that of the loader, then that of bhyve, as a current bhyve takes them.

    Raises DocumentError, HostError when the guest wants UEFI and this host has no image for it.
    """
    complete.complete(domain, CURRENT)
    validate.check(domain)
    firmware.choose(domain, firmware.FOLDER, _files())
    validate.check_startable(domain, CURRENT)
    command.choose_ports(domain, _FIRST_PORT)
    found = command.build(domain, CURRENT, command.Launch(tap=_Taps()))
    return "".join(f"{shlex.join(words)}\n" for words in (found.loader, found.bhyve) if words)


def _files() -> list[str]:
    try:
        return sorted(os.listdir(firmware.FOLDER))
    except OSError:
        return []


class _Taps:
    """Names the devices that network cards would have on the host: as told, or numbered."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, interface: Interface) -> str:
        name = interface.target.dev if interface.target else None
        if name and not name.startswith("vnet"):
            return name
        self._next += 1
        return f"tap{self._next - 1}"


ARGV = NativeFormat(write=write, read=read)
