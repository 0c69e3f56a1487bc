"""A guest as a QEMU command for the shell, to look at and to try out: what a start would run, without vmherd around it.

Nobody passes descriptors to such a QEMU, so that it makes its sockets itself, and nobody tells it to go, so that its
CPUs run at once.  Source: qemuConnectDomainXMLToNative of libvirt
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.chardev import ChardevSource, ChardevType, SocketMode
from vmherd.conf.domain.graphics import GraphicsType
from vmherd.conf.domain.os import Nvram
from vmherd.driver.native import NativeFormat
from vmherd.driver.uri import parse_uri
from vmherd.hypervisors.qemu import (
    alias,
    capabilities,
    command,
    complete,
    firmware,
    hostmemory,
    memory,
    ports,
    validate,
)
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import backing, security
from vmherd.hypervisors.qemu.command.device import escape
from vmherd.hypervisors.qemu.folders import Folders, for_uri

_SOCKET = re.compile(r"(socket,id=[^,]+),fd=([0-9]+)")


async def write(domain: Domain) -> str:
    """The command, after one that makes the folder it works in.  Raises DocumentError, HostError."""
    folders = for_uri(parse_uri("qemu:///system" if os.geteuid() == 0 else "qemu:///session"))
    arch = domain.os.type.arch or capabilities.host_arch()
    caps = await capabilities.load(capabilities.find_binary(arch, domain.devices.emulator), folders.cache)
    complete.complete(domain, caps, new=True, nvram=folders.nvram)
    validate.check(domain, caps)
    validate.check_startable(domain)
    firmware.choose(domain, firmware.installed(), folders.nvram)
    return commands(domain, caps, folders)


def commands(domain: Domain, caps: Capabilities, folders: Folders) -> str:
    """The same for a document that is completed and checked."""
    assert domain.uuid is not None  # completion gives one
    domain.id = domain.id or 1
    alias.assign(domain)
    folder = folders.run / "by-hand" / domain.uuid  # not that of the guest: it may be running
    _name_channels(domain, folder)
    _choose_ports(domain)
    sockets = _Sockets()
    memory.align(domain)
    host = hostmemory.find(files=folder, name=f"by-hand-{domain.uuid}")
    launch = command.Launch(
        folder=folder,
        monitor_fd=sockets.listen(folder / "monitor.sock"),
        listen=sockets.listen,
        memory=host,
        now=datetime.now().astimezone(),
    )
    environment = command.environment(domain, launch, os.environ)
    argv = command.build(domain, caps, launch)
    argv.remove("-S")
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    qemu = shlex.join(sockets.named(word) for word in argv)
    return f"{' && '.join(_preparation(domain, folder, backing.folders(domain, host)))}\n{variables} {qemu}\n"


def _preparation(domain: Domain, folder: Path, memories: set[Path]) -> Iterator[str]:
    """Folders, the key that QEMU decrypts its secrets with, and the variables of UEFI if they are not there yet."""
    quoted = shlex.quote(str(folder))
    yield f"mkdir -p -m 700 {quoted}"
    yield f"head -c 32 /dev/urandom > {quoted}/master-key.aes"
    for other in sorted(memories - {folder}):
        yield shlex.join(["mkdir", "-p", "-m", "700", str(other)])
    for name, text in security.files(domain).items():
        yield f"printf %s {shlex.quote(text)} > {shlex.quote(str(folder / name))}"
    nvram = domain.os.nvram
    if isinstance(nvram, Nvram) and nvram.template and not Path(nvram.path).exists():
        yield shlex.join(["mkdir", "-p", str(Path(nvram.path).parent)])
        yield shlex.join(["cp", nvram.template, nvram.path])


def _name_channels(domain: Domain, folder: Path) -> None:
    for channel in domain.devices.channels:
        if channel.type is ChardevType.UNIX and not channel.sources and channel.alias:
            path = str(folder / f"{channel.alias.name}.sock")
            channel.sources = [ChardevSource(mode=SocketMode.BIND, path=path)]


def _choose_ports(domain: Domain) -> None:
    """Those that a start would choose on a host with no other screens."""
    displays, websockets = iter(ports.DISPLAYS), iter(ports.WEBSOCKETS)
    for graphics in domain.devices.graphics:
        if graphics.type is GraphicsType.VNC and graphics.port == -1:
            graphics.port = next(displays)
        if graphics.type is GraphicsType.VNC and graphics.websocket == -1:
            graphics.websocket = next(websockets)


class _Sockets:
    """Numbers sockets as if they were open, and writes their paths in place of the numbers afterwards."""

    def __init__(self) -> None:
        self._paths: list[Path] = []

    def listen(self, path: Path) -> int:
        self._paths.append(path)
        return len(self._paths) - 1

    def named(self, word: str) -> str:
        return _SOCKET.sub(lambda found: f"{found[1]},path={escape(str(self._paths[int(found[2])]))}", word, count=1)


ARGV = NativeFormat(
    write=write,
    why_not="QEMU's options tell too little of a guest to be read back, so libvirt gave it up too: "
    "write a document, or describe the guest to 'vmherd create --dry-run'",
)
