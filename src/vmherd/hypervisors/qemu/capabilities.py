"""What a QEMU binary can do: asked once through QMP, then kept on disk until the binary changes.

Capability names are libvirt's (virQEMUCapsFlags), since that is what documents and test data speak of.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import msgspec

from vmherd.errors import HostError
from vmherd.hypervisors.qemu.host.accel import kvm_usable
from vmherd.util.files import write_atomically

#: Raise it when `probe` learns something new, so that older caches are not believed.
FORMAT = 6


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine type, such as ``pc-i440fx-7.2`` with its alias ``pc``."""

    name: str
    alias: str = ""
    max_cpus: int = 0
    default: bool = False
    deprecated: bool = False
    default_cpu: str = ""
    default_ram: str = ""
    hotplug_cpus: bool = False


class CpuFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a binary says of CPUs with one accelerator.

    ``models`` are those it has, each with the features that it cannot give here; ``properties`` those of the best CPU
    a guest can have; ``unmigratable`` the names of those that keep the guest on this host.
    """

    models: dict[str, list[str]] = {}
    properties: dict[str, bool | int | str] = {}
    unmigratable: frozenset[str] = frozenset()


class Capabilities(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One binary's capabilities; ``version`` is (major, minor, micro)."""

    binary: str
    version: tuple[int, int, int]
    package: str = ""
    arch: str
    machines: list[Machine] = []
    cpus: dict[str, CpuFacts] = {}  # by accelerator: "kvm", "tcg"
    flags: frozenset[str] = frozenset()

    def __contains__(self, flag: str) -> bool:
        return flag in self.flags

    @cached_property
    def _machines(self) -> dict[str, Machine]:
        by_name = {machine.alias: machine for machine in self.machines if machine.alias}
        return by_name | {machine.name: machine for machine in self.machines}

    def cpu(self, domain_type: str) -> CpuFacts:
        """What it says of the CPUs of guests of this type; nothing where it was not asked."""
        return self.cpus.get("kvm" if domain_type == "kvm" else "tcg", CpuFacts())

    def machine(self, name: str | None) -> Machine | None:
        """The machine type of this name or alias, or the default one for None; None if there is no such."""
        if name is None:
            return next((machine for machine in self.machines if machine.default), None)
        return self._machines.get(name)


class _Cached(msgspec.Struct):
    identity: str
    capabilities: Capabilities


def host_arch() -> str:
    """This host's architecture by libvirt's name."""
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())


def find_binary(arch: str, emulator: str | None = None) -> Path:
    """The QEMU for guests of ``arch``: the one a document names, or the one in PATH.

    Raises HostError if there is none, or it cannot be executed.
    """
    if emulator:
        if os.access(emulator, os.X_OK):
            return Path(emulator)
        problem = "is not executable" if Path(emulator).exists() else "does not exist"
        raise HostError(f"the emulator {emulator} {problem}", hint="correct <emulator>, or leave it out")
    name = f"qemu-system-{'i386' if arch == 'i686' else arch}"
    found = _which(name)
    if found is None:
        package = _PACKAGES.get(arch, "qemu-system")
        raise HostError(f"{name} is not installed", hint=f"apt install {package}")
    return Path(found)


def _which(name: str) -> str | None:
    """Where a program is: where it was last time, if it still is there."""
    key = name, os.environ.get("PATH", "")
    found = _found.get(key)
    if found is None or not os.access(found, os.X_OK):
        found = shutil.which(name) or shutil.which("qemu-kvm", path="/usr/libexec")
        if found:
            _found[key] = found
    return found


_found: dict[tuple[str, str], str] = {}


_PACKAGES = {"x86_64": "qemu-system-x86", "i686": "qemu-system-x86", "aarch64": "qemu-system-arm"}


async def load(binary: Path, folder: Path) -> Capabilities:
    """What ``binary`` can do, from the cache in ``folder`` if that knows this very file, else by asking it.

    Raises HostError if it cannot be run, HypervisorError with its own words if it is no QEMU.
    """
    path = folder / f"capabilities-{hashlib.sha256(os.fsencode(binary)).hexdigest()[:16]}.msgpack"
    asked = identity(binary)
    known = _read(path)
    if known and known.identity == asked:
        return known.capabilities
    from vmherd.hypervisors.qemu.probe import probe  # rarely needed, so not part of each start-up

    found = await probe(binary, _accelerators())
    with suppress(OSError):  # without a cache it only takes longer
        write_atomically(path, msgspec.msgpack.encode(_Cached(asked, found)))
    return found


def _accelerators() -> list[str]:
    return [*(["kvm"] if kvm_usable().usable else []), "tcg"]


def identity(binary: Path) -> str:
    """Changes whenever another file is at that path, KVM comes or goes, or this code asks other questions.

    Raises HostError if nothing is there.
    """
    try:
        stat = os.stat(binary)
    except OSError as problem:
        raise HostError(f"cannot look at {binary}: {problem.strerror}") from problem
    asked = f"{FORMAT} {'+'.join(_accelerators())}"
    return f"{asked} {binary} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def _read(path: Path) -> _Cached | None:
    """What the cache holds; None if it is missing, damaged or of another format."""
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=_Cached)
    except (OSError, msgspec.DecodeError):
        return None
