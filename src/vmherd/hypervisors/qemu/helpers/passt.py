"""passt: a card's own router, a process beside QEMU that needs no rights.

Source: passt(1); qemuPasstStart of libvirt.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from vmherd.conf.domain.net import Interface, PortForward, PortRange
from vmherd.errors import HostError
from vmherd.hypervisors.qemu import helpers
from vmherd.hypervisors.qemu.command.device import alias


def socket(interface: Interface, folder: Path) -> Path:
    return folder / f"{alias(interface)}-passt.sock"


async def start(interface: Interface, folder: Path, log: int) -> None:
    """Start the card's router, and return when it listens.  Raises HostError.

    ``log`` is the descriptor of the guest's log.  It ends when QEMU leaves it, or with the guest's folder.
    """
    program = shutil.which("passt")
    if program is None:
        raise HostError("passt is not installed", hint="apt install passt, or leave <backend type='passt'/> out")
    path = socket(interface, folder)
    argv = [program, "--foreground", *arguments(interface, path)]
    if os.geteuid() == 0:
        argv += ["--runas", "0:0"]  # as another user it could not reach the guest's folder
    await helpers.listening(helpers.start(argv, path.stem, folder, log=log), path)


def arguments(interface: Interface, path: Path) -> list[str]:
    """Its options: it is started in the folder of its socket, which may be deeper than an address has room for."""
    args = ["--one-off", "--socket", path.name, "--pid", str(path.with_suffix(".pid"))]
    if interface.mtu:
        args += ["--mtu", str(interface.mtu.size)]
    if interface.source and interface.source.dev:
        args += ["--interface", interface.source.dev]
    if interface.backend and interface.backend.log_file:
        args += ["--log-file", interface.backend.log_file]
    for ip in interface.ips:
        args += ["--address", ip.address]
        if ip.family != "ipv6" and ip.prefix:
            args += ["--netmask", str(ip.prefix)]
    for forward in interface.port_forwards:
        args += ["--udp-ports" if forward.proto == "udp" else "--tcp-ports", _forwarded(forward)]
    return args


def _forwarded(forward: PortForward) -> str:
    """Where the host listens, then which of its ports lead into the guest."""
    listen = (forward.address or "") + (f"%{forward.dev}" if forward.dev else "")
    ports = ",".join(_ports(forward.ranges)) or "all"
    return f"{listen}/{ports}" if listen else ports


def _ports(ranges: list[PortRange]) -> Iterator[str]:
    for each in ranges:
        last = f"-{each.end}" if each.end is not None else ""
        if each.exclude:
            yield f"~{each.start}{last}"
        elif each.to is None:
            yield f"{each.start}{last}"
        else:
            final = f"-{each.to + each.end - each.start}" if each.end is not None else ""
            yield f"{each.start}{last}:{each.to}{final}"
