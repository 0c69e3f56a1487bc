"""From a completed document to QEMU's argument vector: pure, and equal to libvirt's, token for token.

The order of ``build`` is libvirt's (qemuBuildCommandLine); each device family has its module.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import (
    audio,
    base,
    chardev,
    clock,
    controller,
    disk,
    display,
    filesystem,
    iommu,
    memdev,
    misc,
    net,
    secrets,
    security,
    shmem,
)
from vmherd.hypervisors.qemu.command.environment import environment
from vmherd.hypervisors.qemu.command.launch import Launch

__all__ = ["Launch", "build", "environment"]


def build(domain: Domain, caps: Capabilities, launch: Launch) -> list[str]:
    """The argument vector of a completed domain whose devices have aliases.

    Opens what QEMU shall inherit through ``launch``; apart from that it does nothing.  Raises Unsupported for a
    device that cannot be expressed.
    """
    return [
        str(domain.devices.emulator or caps.binary),
        *base.identity(domain),
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
        *disk.arguments(domain, launch),
        *filesystem.arguments(domain, launch),
        *net.arguments(domain),
        *chardev.arguments(domain, launch),
        *misc.inputs(domain),
        *audio.arguments(domain),
        *display.arguments(domain),
        *display.videos(domain),
        *display.sounds(domain),
        *misc.watchdog(domain),
        *base.incoming(launch),
        *misc.balloon(domain),
        *misc.rngs(domain, launch),
        *misc.nvram(domain),
        *misc.core_info(domain),
        *security.arguments(domain, launch),
        *base.sandbox(launch),
        *misc.panics(domain),
        *shmem.arguments(domain, launch),
        *misc.cryptos(domain),
        *misc.passthrough(domain),
        "-msg",
        "timestamp=on",
    ]
