"""Who a guest's QEMU runs as, which rights it has, and which files belong to it while it runs.

``qemu.toml`` decides, and the document's <seclabel>.  Source: qemu_security.c and virQEMUDriverConfigLoadSecurityEntry
of libvirt
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vmherd.conf.capabilities.document import BaseLabel, SecurityModel
from vmherd.conf.domain import Domain
from vmherd.driver.host import SecurityLabel
from vmherd.errors import HostError, Unsupported
from vmherd.hypervisors.qemu import mandatory
from vmherd.hypervisors.qemu.config import Config
from vmherd.hypervisors.qemu.folders import Folders
from vmherd.hypervisors.qemu.uses import Kind, Use
from vmherd.security import dac, ownership
from vmherd.security.identity import ROOT, Identity, exists, find

#: The user of guests of qemu:///system where the administrator names none, and this one exists.
USER = "vmherd-qemu"


@dataclass(frozen=True)
class Confinement:
    """``relabels``: what the guest uses belongs to it meanwhile.  ``drops``: it gives up every right of root's."""

    identity: Identity
    relabels: bool = False
    drops: bool = False
    remembers: bool = True

    def owner(self, use: Use) -> tuple[int, int] | None:
        """Who a file shall belong to while the guest uses it; None if it stays as it is."""
        if not self.relabels and not use.labels:
            return None
        if use.kind in (Kind.DEVICE, Kind.FOLDER):
            return None
        owner = dac.owner(use.labels, self.identity)
        if owner == self.identity.owner and (not self.relabels or self._may_read(use)):
            return None
        return owner

    def node_owner(self, use: Use) -> tuple[int, int] | None:
        """The same of a device node in the guest's own /dev, where it takes nothing from anybody."""
        return dac.owner(use.labels, self.identity) if self.relabels else None

    def _may_read(self, use: Use) -> bool:
        """Whether a file is only read, and may be already: then it stays as it is."""
        try:
            return not use.writes and ownership.may_read(Path(use.path), self.identity)
        except OSError:
            return False


def usual(config: Config, folders: Folders) -> Identity:
    """Who guests run as that say nothing of it.  Raises HostError for a user that there is not."""
    if not folders.privileged:
        return Identity(os.geteuid(), os.getegid())
    if config.user or config.group:
        return find(config.user or "+0", config.group)
    return find(USER) if folders.shared and exists(USER) else ROOT


def models(config: Config, folders: Folders) -> list[SecurityModel]:
    """What keeps guests apart on this host, as its capabilities tell it."""
    name = mandatory.model(config) if folders.privileged else mandatory.NONE
    found = [SecurityModel(model=name, doi="0", baselabels=mandatory.base_labels(name))]
    if folders.privileged:
        label = usual(config, folders).label
        bases = [BaseLabel(type=kind, label=label) for kind in ("kvm", "qemu")]
        found.append(SecurityModel(model=dac.MODEL, doi="0", baselabels=bases))
    return found


def labels(domain: Domain, config: Config, who: Identity, *, privileged: bool) -> list[SecurityLabel]:
    """What a running guest has, by each model.  Source: qemuSecurityGetProcessLabel of libvirt"""
    found = [mandatory.label(domain, mandatory.model(config) if privileged else mandatory.NONE)]
    if privileged:
        told = dac.find(domain.seclabels)
        found.append(SecurityLabel(label=told.label if told and told.label else who.label))
    return found


def settle(domain: Domain, config: Config, folders: Folders) -> Confinement:
    """Decide for a guest that is being started, and say in its document what was decided.

    Raises HostError, Unsupported for a <seclabel> of a model that is not in force.
    """
    enforced = mandatory.model(config) if folders.privileged else mandatory.NONE
    _require_models(domain, config, ("none", enforced, dac.MODEL) if folders.privileged else ("none",))
    if not folders.privileged:
        return Confinement(usual(config, folders))
    mandatory.complete(domain, config)
    who = dac.identity(domain.seclabels, usual(config, folders))
    dac.complete(domain.seclabels, who, confined=config.security_default_confined)
    return _decided(domain, config, who)


def of_running(domain: Domain, config: Config, folders: Folders, who: Identity) -> Confinement:
    """That of a guest that runs as ``who``."""
    return _decided(domain, config, who) if folders.privileged else Confinement(who)


def _decided(domain: Domain, config: Config, who: Identity) -> Confinement:
    drops = who.uid != 0 if config.clear_emulator_capabilities is None else config.clear_emulator_capabilities
    relabels = config.dynamic_ownership and dac.relabels(domain.seclabels) and (drops or who.uid != 0)
    return Confinement(who, relabels=relabels, drops=drops, remembers=config.remember_owner)


def _require_models(domain: Domain, config: Config, known: Sequence[str]) -> None:
    for number, label in enumerate(domain.seclabels, start=1):
        if label.model is not None and label.model not in known:
            text = f"unable to find security driver for model {label.model}"
            raise Unsupported(
                text, place=f"domain/seclabel[{number}]/@model", hint="'vmherd host' lists those there are"
            )
    unconfined = not config.security_default_confined and dac.find(domain.seclabels) is None
    if config.security_require_confined and (unconfined or not dac.relabels(domain.seclabels)):
        raise Unsupported("unconfined guests are not allowed on this host", place="domain/seclabel")


def make_way(folders: Folders, guest: Path, who: Identity) -> None:
    """Let a user that is not root pass through our folders to the guest's, without seeing what is in them."""
    if who.uid == os.geteuid():
        return
    for folder in (folders.state, folders.nvram, folders.run, guest.parent, guest):
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & 0o011 != 0o011:
            folder.chmod(mode | 0o011)


def hand_over(paths: Iterable[Path], who: Identity | None) -> None:
    """Give files and folders that were made for a guest to who it runs as; those that are not there are left out.

    None is who we are.
    """
    if who is None or who.uid == os.geteuid():
        return
    for path in paths:
        if path.exists():
            os.chown(path, *who.owner)


def require_way(domain: Domain, used: Iterable[Use], who: Identity) -> None:
    """Raise HostError for a file in a folder that the guest's user may not pass through."""
    if who.uid == 0:
        return
    for use in used:
        for folder in Path(use.path).parents:
            if folder.is_dir() and not _passes(folder, who):
                text = f"{use.path} cannot be reached by user {who.uid}, as which {domain.name!r} runs"
                hint = f"chmod o+x {folder}, or move the file; 'user' in qemu.toml is another way"
                raise HostError(text, hint=hint)


def _passes(folder: Path, who: Identity) -> bool:
    status = folder.stat()
    bit = stat.S_IXOTH
    if status.st_uid == who.uid:
        bit = stat.S_IXUSR
    elif status.st_gid in (who.gid, *who.groups):
        bit = stat.S_IXGRP
    return bool(status.st_mode & bit) or _has_list(folder)


def _has_list(folder: Path) -> bool:
    """Whether more is said of who may pass than the mode tells."""
    try:
        return "system.posix_acl_access" in os.listxattr(folder)
    except OSError:
        return False
