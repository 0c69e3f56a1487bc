"""From a completed document to QEMU's argument vector: pure, and equal to libvirt's, token for token.

The order of ``build`` is libvirt's (qemuBuildCommandLine); each device family has its module.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from vmherd.conf.domain import Domain
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import (
    audio,
    base,
    blockdev,
    chardev,
    clock,
    controller,
    disk,
    display,
    filesystem,
    hostdev,
    inputs,
    iommu,
    memdev,
    misc,
    net,
    override,
    redir,
    secrets,
    security,
    shmem,
    smartcard,
    sound,
    tpm,
    video,
    vsock,
)
from vmherd.hypervisors.qemu.command.environment import environment
from vmherd.hypervisors.qemu.command.launch import Launch

__all__ = ["Launch", "build", "environment"]


def build(domain: Domain, caps: Capabilities, launch: Launch) -> list[str]:
    """The argument vector of a completed domain whose devices have aliases.

    Opens what QEMU shall inherit through ``launch``; apart from that it does nothing.  Raises Unsupported for a
    device that cannot be expressed.
    """
    caps = override.capabilities(domain, caps)
    launch = replace(launch, fdsets=count(blockdev.plan(domain, launch).next_fdset))
    argv = [
        str(domain.devices.emulator or caps.binary),
        *base.identity(domain),
        *override.deprecation(domain, caps, launch.config),
        "-S",
        *secrets.master_key(str(launch.folder / "master-key.aes")),
        *disk.reservations(domain, launch),
        *base.machine_and_memory(domain, caps, launch),
        *base.monitor(domain, launch),
        *clock.arguments(domain, caps, launch),
        *base.power(domain, caps),
        *base.boot(domain),
        *iommu.arguments(domain),
        *base.pci_root(domain),
        *controller.arguments(domain),
        *memdev.arguments(domain, caps, launch),
        *controller.on_usb(domain),
        *disk.arguments(domain, launch),
        *filesystem.arguments(domain, launch),
        *net.arguments(domain, launch),
        *smartcard.arguments(domain, launch),
        *chardev.arguments(domain, launch),
        *tpm.arguments(domain, launch),
        *inputs.arguments(domain),
        *audio.arguments(domain),
        *display.arguments(domain, launch),
        *video.arguments(domain, caps, launch),
        *sound.arguments(domain),
        *misc.watchdog(domain),
        *redir.arguments(domain, launch),
        *hostdev.arguments(domain, launch),
        *base.incoming(launch),
        *misc.balloon(domain),
        *misc.rngs(domain, launch),
        *misc.nvram(domain),
        *misc.core_info(domain),
        *override.passthrough(domain),
        *security.arguments(domain, launch),
        *base.sandbox(launch),
        *misc.panics(domain),
        *shmem.arguments(domain),
        *vsock.arguments(domain, launch),
        *misc.cryptos(domain),
        "-msg",
        "timestamp=on",
    ]
    return override.overridden(domain, argv)
