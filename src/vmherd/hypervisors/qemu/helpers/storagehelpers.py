"""The helpers of disks and file systems: virtiofsd, and qemu-pr-helper for persistent reservations."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.filesystem import Filesystem, FilesystemBinary
from vmherd.errors import HostError
from vmherd.hypervisors.qemu import helpers
from vmherd.hypervisors.qemu.command import blockdev, disk, filesystem
from vmherd.util.sockets import listen_unix


async def start(domain: Domain, folder: Path, log: int) -> None:
    """Start what the guest's devices need.  Raises HostError if a program is missing or does not start.

    ``folder`` is the guest's own, ``log`` the descriptor of its log.  What was started before a failure is ended with
    the folder.
    """
    for each in domain.devices.filesystems:
        if filesystem.is_virtiofs(each) and not (each.source and each.source.socket):
            _start_virtiofs(each, folder, log)
    if disk.leaves_reservations(domain) and not helpers.is_there(folder, blockdev.MANAGED_HELPER):
        await _start_reservations(folder, log)


def _start_virtiofs(each: Filesystem, folder: Path, log: int) -> None:
    path = filesystem.socket(each, folder)
    with listen_unix(path) as server:
        argv = [_program(each), f"--fd={server.fileno()}", "-o", ",".join(_options(each)), *_pool(each)]
        helpers.start(argv, path.stem, folder, log=log, fds=[server.fileno()])


def _program(each: Filesystem) -> str:
    told = each.binary.path if each.binary else None
    found = told or shutil.which("virtiofsd") or shutil.which("virtiofsd", path=helpers.FOLDERS)
    if found and os.access(found, os.X_OK):
        return found
    problem = f"{told} cannot be executed" if told else "virtiofsd is not installed"
    raise HostError(problem, hint="apt install virtiofsd, or qemu-system-common for QEMU before 8.0")


def _options(each: Filesystem) -> Iterator[str]:
    """What virtiofsd takes after -o.  Source: virtiofsd(1)"""
    binary = each.binary or FilesystemBinary()
    path = (each.source.dir if each.source else None) or ""
    if "," in path:
        raise HostError(f"virtiofsd serves no folder with a comma: {path!r}", hint="rename it, or leave <driver> out")
    yield f"source={path}"
    if binary.cache:
        yield f"cache={binary.cache.mode}"
    if binary.sandbox:
        yield f"sandbox={binary.sandbox.mode}"
    switches = {"xattr": binary.xattr}
    if binary.lock:
        switches |= {"flock": binary.lock.flock, "posix_lock": binary.lock.posix}
    for name, wanted in switches.items():
        if wanted is not None:
            yield name if wanted else f"no_{name}"


def _pool(each: Filesystem) -> list[str]:
    pool = each.binary.thread_pool if each.binary else None
    return [f"--thread-pool-size={pool.size}"] if pool else []


async def _start_reservations(folder: Path, log: int) -> None:
    program = shutil.which("qemu-pr-helper") or shutil.which("qemu-pr-helper", path=helpers.FOLDERS)
    if program is None:
        raise HostError("qemu-pr-helper is not installed", hint="apt install qemu-system-common")
    if os.geteuid() != 0:
        raise HostError("reserving a disk takes root rights", hint="use qemu:///system, or remove <reservations>")
    path = folder / f"{blockdev.MANAGED_HELPER}.sock"
    # It wants a whole path, for which an address may have no room; its working folder is the guest's.
    argv = [program, "-k", f"/proc/self/cwd/{path.name}"]
    await helpers.listening(helpers.start(argv, path.stem, folder, log=log), path)
