"""Processes that render for a virtio graphics card, beside QEMU (vhost-user-gpu).

Programs come with descriptors, as firmware does.  Source: docs/interop/vhost-user.json and vhost-user-gpu.rst of QEMU;
qemuExtVhostUserGPUStart of libvirt
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from vmherd.conf.domain.video import Video
from vmherd.errors import HostError
from vmherd.hypervisors.qemu import helpers
from vmherd.util.files import on_host

#: Later ones override earlier ones.
FOLDERS = (Path("/usr/share/qemu/vhost-user"), Path("/etc/qemu/vhost-user"))
_HINT = "remove <driver name='vhostuser'/>, or install vhost-user-gpu with its descriptor in /usr/share/qemu/vhost-user"
#: Seconds a program may take to tell what it can do.
_PATIENCE = 10.0


class Descriptor(msgspec.Struct, frozen=True):
    """A program and what it serves."""

    type: str
    binary: str


class Told(msgspec.Struct, frozen=True):
    """What a program says that it can do."""

    features: list[str] = []


def installed(folders: Iterable[Path] = FOLDERS) -> Iterator[Descriptor]:
    """The programs of this host, first choice first; an empty descriptor hides one of the same name."""
    with on_host("read the descriptors of vhost-user programs"):
        files = {path.name: path for folder in folders for path in sorted(folder.glob("*.json"))}
        texts = [path.read_bytes() for _, path in sorted(files.items())]
    yield from (msgspec.json.decode(text, type=Descriptor) for text in texts if text.strip())


def start(video: Video, folder: Path, log: int, folders: Iterable[Path] = FOLDERS) -> socket.socket:
    """Start a program for ``video``; the end of its connection that QEMU gets.  Raises HostError."""
    rendernode = video.model.acceleration.rendernode if video.model and video.model.acceleration else None
    for each in installed(folders):
        if each.type == "gpu" and os.access(each.binary, os.X_OK):
            features = _features(each.binary)
            if rendernode is None or "render-node" in features:
                return _run(each.binary, features, video, rendernode, folder, log)
    raise HostError("no program of this host renders for a graphics card", hint=_HINT)


def _features(binary: str) -> list[str]:
    done = subprocess.run([binary, "--print-capabilities"], capture_output=True, timeout=_PATIENCE, check=False)
    try:
        return msgspec.json.decode(done.stdout, type=Told).features
    except msgspec.DecodeError:
        return []


def _run(
    binary: str, features: list[str], video: Video, rendernode: str | None, folder: Path, log: int
) -> socket.socket:
    ours, theirs = socket.socketpair()
    with theirs:
        argv = [binary, f"--fd={theirs.fileno()}"]
        acceleration = video.model.acceleration if video.model else None
        if acceleration and acceleration.accel3d and "virgl" in features:
            argv.append("--virgl")
        if rendernode:
            argv.append(f"--render-node={rendernode}")
        name = video.alias.name if video.alias else "video"
        helpers.start(argv, f"gpu-{name}", folder, log=log, fds=[theirs.fileno()])
    return ours
