"""From a completed document to the commands that run it: pure, and equal to libvirt's, token for token.

A guest that does not boot UEFI is loaded into memory by a first command, before bhyve runs it.  The order of the
arguments is that of virBhyveProcessBuildBhyveCmd of libvirt.
"""

from __future__ import annotations

from dataclasses import dataclass

from vmherd.conf.domain import Domain
from vmherd.hypervisors.bhyve.capabilities import Capabilities
from vmherd.hypervisors.bhyve.command import base, devices, loader
from vmherd.hypervisors.bhyve.command.launch import Launch, choose_ports

__all__ = ["Commands", "Launch", "build", "choose_ports"]


@dataclass(frozen=True, kw_only=True)
class Commands:
    """``loader`` runs first, unless the guest boots UEFI; ``device_map`` is the file that grub-bhyve reads."""

    bhyve: list[str]
    loader: list[str] | None
    device_map: str | None


def build(domain: Domain, caps: Capabilities, launch: Launch) -> Commands:
    """The commands of a completed guest that passed the checks.  Raises Unsupported if nothing in it boots."""
    boots_rom = domain.bootloader is None and domain.os.loader is not None
    load = None if boots_rom else loader.command(domain, caps, launch)
    return Commands(
        bhyve=_bhyve(domain, caps, launch),
        loader=load,
        device_map=loader.device_map(domain) if load and loader.is_grub(domain) else None,
    )


def _bhyve(domain: Domain, caps: Capabilities, launch: Launch) -> list[str]:
    extra = domain.bhyve_commandline
    return [
        launch.bhyve,
        *base.cpus(domain),
        *base.memory(domain),
        *base.features(domain),
        *base.clock(domain),
        "-H",  # a guest that idles leaves the CPU to others
        "-P",  # and one that spins, too
        *("-s", "0:0,hostbridge"),
        *base.firmware(domain),
        *devices.controllers(domain, caps),
        *devices.interfaces(domain, launch),
        *devices.disks(domain),
        *devices.screen(domain),
        *devices.sounds(domain),
        *devices.filesystems(domain),
        *devices.serials(domain),
        *(each.value for each in (extra.args if extra else [])),
        domain.name,
    ]
