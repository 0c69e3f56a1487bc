"""The QEMU driver's documents and command lines, on the made-up hosts of conformance cases."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vmherd.conf import checkpoint, snapshot
from vmherd.conf.checkpoint import CheckpointDisk
from vmherd.conf.domain import Domain, parse_domain
from vmherd.conf.domain.conformance import written
from vmherd.conf.domain.cpu import FeaturePolicy
from vmherd.conf.moments import Origin, Parent
from vmherd.conformance import Case
from vmherd.cpu.definition import Definition
from vmherd.errors import HostError
from vmherd.hypervisors.qemu import alias, command, complete, memory, validate
from vmherd.hypervisors.qemu.capabilities import Capabilities, CpuFacts, Machine
from vmherd.hypervisors.qemu.config import Config
from vmherd.hypervisors.qemu.helpers import swtpm
from vmherd.hypervisors.qemu.host import accel, firmware
from vmherd.hypervisors.qemu.madeup import facts, settings
from vmherd.hypervisors.qemu.startup import guestcpu


def documents(case: Case) -> str:
    """A domain document completed and checked by the driver."""
    config = settings.configuration(case, starts=False)
    return written(_accepted(case, config, new=False, running=case.params.get("state") == "active"), case)


def arguments(case: Case) -> list[str]:
    """The command line of a guest that starts."""
    config = settings.configuration(case, starts=True)
    domain = _accepted(case, config, new=True)
    validate.check_startable(domain)
    guestcpu.settle(domain, _capabilities(case, domain), _physical(case))
    firmware.choose(domain, _firmwares(case), Path(case.facts["config"]["nvramDir"]))
    domain.id = case.facts["domain"]["id"]
    alias.assign(domain)
    if not case.params.get("migrate_from"):
        memory.align(domain)
    launch = facts.launch(domain, case, config)
    settings.prepare(domain, case, config)
    host = case.facts["host"]["environment"] | case.host.get("env", {})
    words = [f"{name}={value}" for name, value in command.environment(domain, launch, host).items()]
    return words + command.build(domain, _capabilities(case, domain), launch)


def snapshots(case: Case) -> str:
    """A snapshot read, completed, checked and written."""
    origin = _origin(case)
    found = snapshot.parse_snapshot(case.input, origin)
    snapshot.complete(found, now=int(case.params.get("creation_time") or 0), finish=_completion(case))
    snapshot.check(found, origin)
    if "set-running" in case.flags:
        found.state = snapshot.SnapshotState.RUNNING
    uuid = str(case.params.get("uuid") or "")
    return snapshot.render(found, uuid=uuid, secure=True, internal=origin is Origin.FILE)


def checkpoints(case: Case) -> str:
    """A checkpoint read, completed, checked, changed as the case says, and written."""
    origin = _origin(case)
    found = checkpoint.parse_checkpoint(case.input, origin)
    checkpoint.complete(found, now=int(case.params.get("creation_time") or 0), finish=_completion(case))
    checkpoint.check(found, origin)
    if "set-parent" in case.flags:
        found.parent = Parent(name=str(case.params["parent"]))
    if "set-vda-bitmap" in case.flags:
        found.disks[:1] = [CheckpointDisk(name="vda", bitmap=found.name)]
    if "set-size" in case.flags:
        found.disks[0].size = int(case.params["size"])
    return checkpoint.render(found, secure=True, sizes="set-size" in case.flags)


def _origin(case: Case) -> Origin:
    if "internal" in case.flags:
        return Origin.FILE
    return Origin.REDEFINED if "redefine" in case.flags else Origin.REQUEST


def _completion(case: Case) -> Callable[[Domain], None]:
    """The guest inside, as this driver completes it."""
    nvram = Path(case.facts["config"]["nvramDir"])
    return lambda domain: complete.complete(domain, _capabilities(case, domain), nvram=nvram)


def _accepted(case: Case, config: Config, *, new: bool, running: bool = False) -> Domain:
    domain = parse_domain(case.input)
    if domain.genid == "":
        domain.genid = case.facts["host"]["random"]["uuid"]
    caps = _capabilities(case, domain)
    nvram = Path(case.facts["config"]["nvramDir"])
    complete.complete(domain, caps, new=new, running=running, nvram=nvram, config=config)
    validate.check(domain, caps, kvm=accel.Verdict(bool(case.facts["host"]["kvm"]), "as told"))
    if versions := case.host.get("swtpm_versions"):
        swtpm.require(domain, versions)
    return domain


def _firmwares(case: Case) -> list[firmware.Descriptor]:
    told = case.facts["firmware_descriptors"]
    files = {
        Path(path).name: path for folder in firmware.FOLDERS for path in sorted(told) if Path(path).parent == folder
    }
    texts = {
        path: told.get(os.path.normpath(Path(path).parent / each.get("link", "")), each) for path, each in told.items()
    }
    return firmware.read((path, texts[path]["text"]) for _, path in sorted(files.items()))


def _capabilities(case: Case, domain: Domain) -> Capabilities:
    """What the binary can do that this case runs, after ``capability_modes`` of the facts."""
    told = case.host["qemu_caps"]
    arch = domain.os.type.arch or "x86_64"
    emulator = domain.devices.emulator or case.facts["emulators"].get(arch, "")
    latest = case.facts["capability_sets"][case.facts["latest_x86_64"]]
    flags = frozenset([*latest["flags"], *told.get("extra_flags", [])])
    if told["mode"] == "none":
        return Capabilities(binary=emulator, version=(0, 0, 0), arch=arch)
    if told["mode"] == "latest-flags":
        return Capabilities(binary=emulator, version=(0, 0, 0), arch=arch, flags=flags)
    if arch not in ("x86_64", "i686"):
        raise HostError(f"there is no emulator for {arch}")
    kind = "kvm" if domain.type == "kvm" else "tcg"
    machines = latest["machines"].get(kind) or latest["machines"]["kvm"]
    version = latest["version"]
    return Capabilities(
        binary=emulator,
        version=(version // 1_000_000, version // 1000 % 1000, version % 1000),
        arch=arch,
        machines=[each for machine in machines for each in _machines(machine)],
        cpus={each: _cpus(latest, each) for each in latest["cpus"]},
        flags=flags,
    )


def _cpus(told: dict[str, Any], kind: str) -> CpuFacts:
    properties = told["host_cpu"][kind]["properties"]
    return CpuFacts(
        models={each["name"]: each.get("blockers", []) for each in told["cpus"][kind]},
        properties={name: each["value"] for name, each in properties.items()},
        unmigratable=frozenset(
            name for name, each in properties.items() if each["value"] is True and not each.get("migratable")
        ),
    )


def _physical(case: Case) -> Definition:
    """The processor of the host."""
    told = case.facts["host"]["cpu"]
    features = dict.fromkeys(told["features"], FeaturePolicy.REQUIRE)
    return Definition(model=told["model"], vendor=told["vendor"], features=features, is_host=True)


def _machines(told: dict[str, Any]) -> list[Machine]:
    """An alias is a machine type of its own here, and stays in the document."""

    def machine(name: str, *, default: bool) -> Machine:
        return Machine(
            name=name,
            max_cpus=told.get("maxCpus", 0),
            default=default,
            deprecated=told.get("deprecated", False),
            default_cpu=told.get("defaultCPU", ""),
            default_ram=told.get("defaultRAMid", ""),
            hotplug_cpus=told.get("hotplugCpus", False),
        )

    alias = told.get("alias")
    default = bool(told.get("default"))
    found = [machine(told["name"], default=default and not alias)]
    return [*found, machine(alias, default=default)] if alias else found
