"""The security model that the host's kernel enforces on guests, if there is one: SELinux or AppArmor.

Its part of a guest is in the document (<seclabel>), so that whoever finds the guest running knows it.
Source: qemuSecurityInit and virSecurityManagerGenLabel of libvirt
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from vmherd.conf.capabilities.document import BaseLabel
from vmherd.conf.domain import Domain
from vmherd.conf.domain.domain import DomainType
from vmherd.conf.domain.seclabel import DeviceSeclabel, Seclabel, SeclabelType
from vmherd.driver.host import SecurityLabel
from vmherd.errors import HostError, VmherdError
from vmherd.hypervisors.qemu.config import Config
from vmherd.hypervisors.qemu.folders import PROFILE
from vmherd.hypervisors.qemu.uses import Kind, Use
from vmherd.security import apparmor, selinux
from vmherd.util.files import write_atomically

log = logging.getLogger("vmherd.qemu")

NONE = "none"
_RULES = "profile.json"


def model(config: Config) -> str:
    """What is in force.  Raises HostError where the administrator wants what the host does not have."""
    found = {selinux.MODEL: selinux.active, apparmor.MODEL: apparmor.active}
    if config.security_driver == "auto":
        return next((name for name, active in found.items() if active()), NONE)
    if config.security_driver != NONE and not found[config.security_driver]():
        text = f"security_driver is {config.security_driver!r}, which this host's kernel does not enforce"
        raise HostError(text, hint='write security_driver = "auto" in qemu.toml, or remove the line')
    return config.security_driver


def complete(domain: Domain, config: Config) -> None:
    """Say in the document of a guest that is being started what it is labelled as.  Raises HostError."""
    name = model(config)
    if name == NONE:
        return
    told = find(domain.seclabels, name)
    if told is None:
        if not config.security_default_confined:
            return
        told = Seclabel(model=name)
        domain.seclabels.insert(0, told)
    told.type = told.type or (SeclabelType.DYNAMIC if config.security_default_confined else SeclabelType.NONE)
    if told.type is SeclabelType.NONE:
        return
    if told.relabel is None:
        told.relabel = told.type is SeclabelType.DYNAMIC
    if name == selinux.MODEL:
        _choose(domain, told)
    else:
        assert domain.uuid is not None  # the driver gives one to each document it reads
        told.label = told.imagelabel = apparmor.name(domain.uuid)


def base_labels(name: str) -> list[BaseLabel]:
    """The labels that guests of each type get, but for their own categories, as capabilities tell them."""
    if name != selinux.MODEL:
        return []
    policy = selinux.load_policy()
    return [BaseLabel(type="kvm", label=str(policy.kvm)), BaseLabel(type="qemu", label=str(policy.emulated))]


def label(domain: Domain, name: str) -> SecurityLabel:
    """What a running guest is labelled as by the model in force."""
    told = find(domain.seclabels, name)
    enforcing = selinux.enforcing() if name == selinux.MODEL else name == apparmor.MODEL
    return SecurityLabel(label=told.label or "" if told else "", enforcing=bool(told) and enforcing)


def _choose(domain: Domain, told: Seclabel) -> None:
    policy = selinux.load_policy()
    level = selinux.choose_level(policy, _taken())
    base = told.label if told.type is SeclabelType.STATIC else told.baselabel
    found = selinux.labels(policy, level, kvm=domain.type is DomainType.KVM, process=base or "")
    told.label, told.imagelabel = found.process, found.image


def _taken(proc: Path = Path("/proc")) -> set[str]:
    """The levels of all processes of this host."""
    found = set()
    for path in proc.glob("[0-9]*/attr/current"):
        with suppress(OSError, HostError):
            found.add(selinux.level_of(path.read_text()))
    return found


def find(labels: Sequence[Seclabel], name: str) -> Seclabel | None:
    """What a document says of a model."""
    return next((each for each in labels if each.model == name), None)


class Mandatory:
    """What the kernel enforces on one guest, as its completed document says; ``folder`` is the guest's own."""

    def __init__(self, domain: Domain, folder: Path) -> None:
        self._folder = folder
        self._emulator = os.path.realpath(domain.devices.emulator or "")
        self._uuid = domain.uuid or ""
        self._selinux = _labels(domain)
        told = find(domain.seclabels, selinux.MODEL)
        self._relabels = told is not None and told.relabel is not False
        profile = find(domain.seclabels, apparmor.MODEL)
        self._confined = profile is not None and profile.type is not SeclabelType.NONE

    @property
    def transitions(self) -> bool:
        """Whether QEMU changes its label when it starts, which a process that may win no rights must not."""
        return self._confined or self._selinux is not None

    def file_label(self, use: Use) -> str:
        """SELinux's label of a file that the guest uses; "" where it stays as it is."""
        if self._selinux is None or not self._relabels or use.kind in (Kind.DEVICE, Kind.FOLDER):
            return ""
        told = next((each for each in use.labels if each.model in (None, selinux.MODEL)), None)
        if told is None or (told.relabel is not False and not told.label):
            return selinux.of_file(self._selinux, writes=use.writes, shared=use.shared)
        return _own(told)

    async def load(self, uses: Iterable[Use]) -> None:
        """Put AppArmor's profile of the guest in force, with what it uses beside what it uses already."""
        if not self._confined:
            return
        rules = {each.path: each for each in (*_rules(self._folder), *map(_rule, uses))}
        write_atomically(self._folder / _RULES, msgspec.json.encode(list(rules.values())))
        text = apparmor.profile(self._uuid, self._emulator, rules.values())
        write_atomically(self._folder / PROFILE, text.encode())
        await apparmor.load(self._folder / PROFILE)

    def before(self) -> None:
        """In the thread that QEMU is started from: have it get its label."""
        if self._selinux:
            selinux.label_next(self._selinux.process)
        if self._confined:
            apparmor.label_next(self._uuid)


def _labels(domain: Domain) -> selinux.Labels | None:
    told = find(domain.seclabels, selinux.MODEL)
    if told is None or told.type is SeclabelType.NONE or not told.label:
        return None
    level = selinux.level_of(told.label)
    return selinux.labels(selinux.load_policy(), level, kvm=True, process=told.label)


def _own(told: DeviceSeclabel) -> str:
    return told.label if told.relabel is not False and told.label else ""


def _rule(use: Use) -> apparmor.Rule:
    return apparmor.Rule(os.path.realpath(use.path), writes=use.writes, folder=Path(use.path).is_dir())


def _rules(folder: Path) -> list[apparmor.Rule]:
    with suppress(FileNotFoundError):
        return msgspec.json.decode((folder / _RULES).read_bytes(), type=list[apparmor.Rule])
    return []


def forget(folder: Path) -> None:
    """Take the profile of a guest that has ended out of force.  Blocks; for a thread without a loop."""
    file = folder / PROFILE
    try:
        asyncio.run(apparmor.unload(file))
    except VmherdError as problem:
        log.warning("the profile %s stays in force: %s", file, problem)
