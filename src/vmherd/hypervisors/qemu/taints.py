"""What makes a guest one that only its owner can answer for: settings past what documents promise.

Source: qemuDomainObjCheckTaint of libvirt
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from vmherd.conf.domain import Domain


def of(domain: Domain) -> list[str]:
    """A sentence for each."""
    return [f"tainted: {each}" for each in _taints(domain)]


def _taints(domain: Domain) -> Iterator[str]:
    if os.geteuid() == 0:
        yield "it runs with the rights of root"
    if domain.qemu_commandline is not None:
        yield "it has arguments of its own for QEMU (<qemu:commandline>)"
    if domain.cpu and domain.cpu.mode == "host-passthrough":
        yield "it sees the processor of this host as it is (host-passthrough)"
    if domain.os.dtb:
        yield "it has a device tree of its own (<dtb>)"
    for disk in domain.devices.disks:
        if disk.device == "cdrom" and disk.type == "block":
            yield f"it has a CD drive of the host (disk {disk.target.dev})"
    for interface in domain.devices.interfaces:
        if interface.script is not None:
            yield "a shell script sets up one of its cards"
