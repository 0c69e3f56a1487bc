"""The demo guest: a small Linux out of Debian's own kernel and busybox, made on the spot and kept in the cache.

It needs no root, no loop device and no installed package: the package files are fetched and read.  It boots to a
login prompt on the serial console (user root, password demo), gets an address by DHCP, honours the power
button, and lives in memory only.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import platform
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path

import msgspec

from vmherd.errors import HostError
from vmherd.guest import debian, modules
from vmherd.guest.initramfs import Node, character_device, file, folder, link, pack
from vmherd.util.files import on_host, write_atomically
from vmherd.util.paths import cache_home

#: Raise it when the guest's content changes, so that no older one is used.
RECIPE = 3

_MODULES = [
    "virtio_pci",
    "virtio_net",
    "virtio_blk",
    "virtio_console",
    "virtio_rng",
    "virtio_balloon",
    "virtio_scsi",
    "sd_mod",
    "button",
    "evdev",
]
#: Those that some kernels have built in, or lack.
_WELCOME = ["pvpanic_mmio", "pvpanic_pci"]

#: Debian's name of an architecture, and the kernel's name of its first serial line.
_ARCHITECTURES = {"x86_64": ("amd64", "ttyS0"), "aarch64": ("arm64", "ttyAMA0")}


class DemoGuest(msgspec.Struct, frozen=True):
    """What to boot.  ``hostname=NAME`` and ``power_button=ignore`` may be added to ``cmdline``."""

    kernel: Path
    initrd: Path
    cmdline: str


async def demo_guest(progress: Callable[[str], None] = lambda _: None) -> DemoGuest:
    """The demo guest for this host's architecture; made if it is not in the cache, telling ``progress`` each step.

    Raises HostError where there is no apt, no network or no package list, and on other architectures.
    """
    arch = platform.machine()
    if arch not in _ARCHITECTURES:
        raise HostError(f"there is no demo guest for {arch}", hint="give 'vmherd run' a kernel or a disk image")
    debian_arch, tty = _ARCHITECTURES[arch]
    home = cache_home() / "vmherd" / "demo" / f"{RECIPE}-{debian_arch}"
    guest = DemoGuest(home / "vmlinuz", home / "initrd.gz", f"console={tty} quiet")
    if not _is_there(guest):
        with on_host(f"make the demo guest in {home.parent}"):
            async with _alone(home.parent):
                if not _is_there(guest):  # somebody else made it while we waited
                    await _make(home, debian_arch, tty, progress)
    return guest


def _is_there(guest: DemoGuest) -> bool:
    return guest.initrd.is_file() and guest.kernel.is_file()


@asynccontextmanager
async def _alone(folder: Path) -> AsyncIterator[None]:
    """One builder at a time; the lock ends with its holder."""
    fd = _open_lock(folder)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.1)
        yield
    finally:
        os.close(fd)


def _open_lock(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    return os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


async def _make(home: Path, debian_arch: str, tty: str, progress: Callable[[str], None]) -> None:
    """Build beside the final place and move there at once: what is there is whole."""
    for leftover in home.parent.glob("making-*"):  # of a builder that was killed, since we are alone
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="making-", dir=home.parent, ignore_cleanup_errors=True) as made:
        progress("looking for the kernel package")
        image = await debian.dependency(f"linux-image-cloud-{debian_arch}", r"linux-image-\d.*")
        kernel_package = await _fetch(image, Path(made), progress)
        busybox_package = await _fetch("busybox-static", Path(made), progress)
        progress("building the initial RAM disk")
        await asyncio.to_thread(_build, kernel_package, busybox_package, tty, Path(made, "result"), home)


async def _fetch(package: str, folder: Path, progress: Callable[[str], None]) -> Path:
    progress(f"fetching {package} ({await debian.size(package, folder) / 1e6:.1f} MB)")
    return await debian.download(package, folder)


def _build(kernel_package: Path, busybox_package: Path, tty: str, result: Path, home: Path) -> None:
    kernel, tree = _kernel_files(kernel_package)
    tree["bin/busybox"] = file(_busybox(busybox_package), executable=True)
    result.mkdir()
    write_atomically(result / "vmlinuz", kernel, mode=0o644, durable=True)
    write_atomically(result / "initrd.gz", pack(tree | _system(tty)), mode=0o644, durable=True)
    shutil.rmtree(home, ignore_errors=True)  # a part that somebody left of an earlier one
    result.rename(home)


def _kernel_files(package: Path) -> tuple[bytes, dict[str, Node]]:
    """The kernel, and below ``lib/modules`` those modules that the guest can need."""
    kernel, release = b"", ""
    found: dict[str, tuple[str, bytes]] = {}
    for path, content in debian.extract(package, _is_of_kernel):
        if path.startswith("boot/"):
            kernel, release = content, path.removeprefix("boot/vmlinuz-")
        else:
            path, content = modules.load(path.removeprefix("usr/"), content)
            found[modules.name_of(path)] = (path, content)
    if not kernel:
        raise HostError(f"{package.name} has no kernel in it")
    drivers = [*_MODULES, *(name for name in _WELCOME if name in found)]
    needs = modules.closure(drivers, found)
    base = f"lib/modules/{release}/"
    listing = modules.dependency_list(needs, {name: found[name][0].removeprefix(base) for name in needs})
    tree = {found[name][0]: file(found[name][1]) for name in needs}
    return kernel, tree | {base + "modules.dep": file(listing), "etc/drivers": file("\n".join(drivers) + "\n")}


def _is_of_kernel(path: str) -> bool:
    return path.startswith("boot/vmlinuz-") or path.endswith((".ko", ".ko.xz"))


def _busybox(package: Path) -> bytes:
    for _, content in debian.extract(package, lambda path: path.endswith("bin/busybox")):
        return content
    raise HostError(f"{package.name} has no busybox in it")


def _system(tty: str) -> dict[str, Node]:
    """Everything but the kernel and busybox: the scripts beside this module, and a few links and folders."""
    scripts = resources.files("vmherd.guest") / "demo_files"

    def script(name: str, *, executable: bool = True) -> Node:
        return file((scripts / name).read_text().replace("@TTY@", tty), executable=executable)

    folders = ("bin", "sbin", "usr/bin", "usr/sbin", "proc", "sys", "dev", "run", "tmp", "mnt", "root", "var")
    return {
        **{path: folder(0o700 if path == "root" else 0o755) for path in folders},
        "dev/console": character_device(5, 1),
        "init": script("init"),
        "etc/rc": script("rc"),
        "etc/udhcpc": script("udhcpc"),
        "etc/acpi/PWRF/00000080": script("power"),
        "etc/inittab": script("inittab", executable=False),
        "etc/profile": script("profile", executable=False),
        "etc/issue": script("issue", executable=False),
        "etc/passwd": script("passwd", executable=False),
        "etc/group": file("root:x:0:\n"),
        "etc/resolv.conf": link("/run/resolv.conf"),
        "var/run": link("/run"),
    }
