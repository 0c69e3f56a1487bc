"""A guest as a QEMU command for the shell, to look at and to try out: what a start would run, without vmherd around it.

Nobody passes descriptors to such a QEMU, so that it makes its sockets itself, and nobody tells it to go, so that its
CPUs run at once.  Source: qemuConnectDomainXMLToNative of libvirt
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.hostdev import ScsiSource
from vmherd.conf.domain.net import Interface
from vmherd.conf.domain.os import Nvram
from vmherd.conf.domain.tpm import EmulatorTpm, TpmVersion
from vmherd.conf.domain.video import Video
from vmherd.driver.native import NativeFormat
from vmherd.driver.uri import parse_uri
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu import alias, capabilities, command, complete, memory, validate
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import backing, security
from vmherd.hypervisors.qemu.command.device import escape
from vmherd.hypervisors.qemu.config import DEFAULTS
from vmherd.hypervisors.qemu.folders import Folders, for_uri
from vmherd.hypervisors.qemu.helpers import swtpm
from vmherd.hypervisors.qemu.host import firmware, hostcpu, hostmemory
from vmherd.hypervisors.qemu.startup import channels, displays, guestcpu
from vmherd.hypervisors.qemu.startup.prepared import scsi_generic
from vmherd.hypervisors.qemu.startup.resources import FIRST_CID, VSOCK, cancel_file

_SOCKET = re.compile(r"(socket,id=[^,]+),fd=([0-9]+)")
_SET = re.compile(r"^set=([0-9]+),fd=([0-9]+)", re.MULTILINE)


async def write(domain: Domain) -> str:
    """The command, after one that makes the folder it works in.  Raises DocumentError, HostError."""
    folders = for_uri(parse_uri("qemu:///system" if os.geteuid() == 0 else "qemu:///session"))
    arch = domain.os.type.arch or capabilities.host_arch()
    caps = await capabilities.load(capabilities.find_binary(arch, domain.devices.emulator), folders.cache)
    complete.complete(domain, caps, new=True, nvram=folders.nvram)
    validate.check(domain, caps)
    validate.check_startable(domain)
    guestcpu.settle(domain, caps, hostcpu.processor())
    firmware.choose(domain, firmware.installed(), folders.nvram)
    return commands(domain, caps, folders)


def commands(domain: Domain, caps: Capabilities, folders: Folders) -> str:
    """The same for a document that is completed and checked."""
    assert domain.uuid is not None  # completion gives one
    domain.id = domain.id or 1
    alias.assign(domain)
    folder = folders.run / "by-hand" / domain.uuid  # not that of the guest: it may be running
    channels.name(domain, folder)
    displays.complete(domain, DEFAULTS, folder, displays.rendernode, folder / "dbus.sock")
    displays.choose_ports(domain, DEFAULTS, lambda candidates, _: candidates.start)
    paths = _Paths()
    memory.align(domain)
    host = hostmemory.find(files=folder, name=f"by-hand-{domain.uuid}")
    launch = command.Launch(
        folder=folder,
        monitor_fd=paths.listen(folder / "monitor.sock"),
        opener=paths,
        memory=host,
        host=_Nobody(paths),
        now=datetime.now().astimezone(),
        tpm_socket=folder / "swtpm.sock",
    )
    environment = command.environment(domain, launch, os.environ)
    argv = command.build(domain, caps, launch)
    argv.remove("-S")
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    qemu = shlex.join(paths.named(argv))
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
    if backend := swtpm.emulator(domain):
        yield from _tpm(backend, folder / "swtpm.sock")


def _tpm(backend: EmulatorTpm, socket: Path) -> Iterator[str]:
    """It keeps nothing of the guest's own TPM, which may be in use."""
    state = socket.with_name("tpm")
    yield shlex.join(["mkdir", "-p", str(state)])
    version = ["--tpm2"] if backend.version is TpmVersion.V2_0 else []
    ctrl = ["--ctrl", f"type=unixio,path={socket}", "--tpmstate", f"dir={state}"]
    yield shlex.join(["swtpm", "socket", *version, *ctrl, "--terminate", "--daemon"])


class _Nobody:
    """Without vmherd nobody makes network devices, starts routers or takes devices from the host."""

    def __init__(self, paths: _Paths) -> None:
        self._paths = paths

    def tap(self, interface: Interface) -> Sequence[int]:
        raise self._refusal(f"network cards of type {str(interface.type)!r}")

    vhost_net = tap

    def vdpa(self, interface: Interface) -> int:
        assert interface.source is not None
        assert interface.source.dev is not None  # validation asks for it
        return self._paths.listen(Path(interface.source.dev))

    def passt(self, _: Interface) -> Path:
        raise self._refusal("network cards with passt")

    def vhost_scsi(self) -> int:
        raise self._refusal("SCSI targets of the kernel")

    def scsi_generic(self, source: ScsiSource) -> str:
        return scsi_generic(source)

    def _refusal(self, what: str) -> Unsupported:
        hint = "let vmherd run the guest: 'vmherd create'; or use <interface type='user'>"
        return Unsupported(f"{what} take more than a command", place="domain/devices", hint=hint)


class _Paths:
    """Numbers what a start would open, and puts the paths in place of the numbers afterwards."""

    def __init__(self) -> None:
        self._paths: list[Path] = []

    def listen(self, path: Path) -> int:
        self._paths.append(path)
        return len(self._paths) - 1

    def output(self, path: Path, *, append: bool) -> int:
        return self.listen(path)

    log = output

    def tpm(self, path: Path) -> int:
        return self.listen(path)

    def tpm_cancel(self, path: Path) -> int:
        return self.listen(cancel_file(path))

    def vsock(self, cid: int | None) -> tuple[int, int]:
        return self.listen(VSOCK), FIRST_CID if cid is None else cid

    def gpu(self, video: Video) -> int:
        text = "nobody starts the helper that renders for this graphics card"
        raise Unsupported(text, place="domain/devices/video/driver/@name", hint="remove <driver name='vhostuser'/>")

    def named(self, argv: list[str]) -> list[str]:
        """The arguments with paths; QEMU opens them itself."""
        sets = {f"/dev/fdset/{number}": self._paths[int(fd)] for number, fd in _SET.findall("\n".join(argv))}
        kept = (pair for pair in pairwise(["", *argv]) if "-add-fd" not in pair)
        return [self._named(word, sets) for _, word in kept]

    def _named(self, word: str, sets: dict[str, Path]) -> str:
        for descriptors, path in sets.items():
            word = re.sub(f"{descriptors}\\b", escape(str(path)), word)
        word = re.sub(r',"vhostfd":"[0-9]+"', "", word)
        return _SOCKET.sub(lambda found: f"{found[1]},path={escape(str(self._paths[int(found[2])]))}", word, count=1)


ARGV = NativeFormat(
    write=write,
    why_not="QEMU's options tell too little of a guest to be read back, so libvirt gave it up too: "
    "write a document, or describe the guest to 'vmherd create --dry-run'",
)
