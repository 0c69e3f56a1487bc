"""The helper guest: Debian's kernel with this machine's own files, for tests of what the kernel at hand lacks.

Its root is the host's, read-only over virtiofs, with a file system in memory on top: every program that is installed
here runs there as root, and nothing it does is left.  It boots under TCG in some five seconds.  By hand:

    python tests/support/helperguest.py PROGRAM [ARGUMENTS]
"""

from __future__ import annotations

import asyncio
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from vmherd.guest import debian, modules
from vmherd.guest.initramfs import Node, file, folder, pack
from vmherd.util.files import write_atomically
from vmherd.util.paths import cache_home

_RECIPE = 1
_DAEMON = Path("/usr/lib/qemu/virtiofsd")
_DRIVERS = ("virtio_pci", "virtiofs", "overlay")

# The first program: it makes a root of the two layers, and hands over to a script in it.
_INIT = """\
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /lower /upper /root
/bin/busybox --install -s
mount -t proc proc /proc
modprobe -a {drivers}
mount -t virtiofs -o ro host /lower
mount -t tmpfs upper /upper
mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work root /root
cd /root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t devtmpfs devtmpfs dev
mkdir -p dev/pts dev/shm
mount -t devpts devpts dev/pts
mount -t tmpfs tmpfs dev/shm
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp var/tmp
mount -t cgroup2 none sys/fs/cgroup
mkdir -p lib/modules
mount --bind /lower{modules} lib/modules
exec switch_root /root /bin/bash {script}
"""

# What the guest does.  Not on the first line, where the kernel writes: the second is for results.
_SCRIPT = """\
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8
export PYTHONDONTWRITEBYTECODE=1 VMHERD_HELPER_GUEST=1 TMPDIR=/var/tmp
ip link set lo up
cd {place}
{words} < /dev/null > /dev/ttyS1 2>&1
echo "helper guest: exit status $?" > /dev/ttyS1
sleep 0.2
echo o > /proc/sysrq-trigger
sleep 10
"""
_END = "helper guest: exit status "

#: Devices to look at: a card behind a bridge, disks of every kind, and an IOMMU.
HARDWARE = (
    *("-device", "intel-iommu"),
    *("-device", "pcie-root-port,id=root1,bus=pcie.0,chassis=1,slot=1"),
    *("-device", "virtio-net-pci,bus=root1,netdev=nowhere,mac=52:54:00:00:77:01"),
    *("-netdev", "hubport,id=nowhere,hubid=0"),
    *("-device", "virtio-scsi-pci,id=scsi"),
    *("-blockdev", "null-co,node-name=disk,size=1048576,read-zeroes=on"),
    *("-device", "scsi-hd,bus=scsi.0,drive=disk,serial=S1"),
    *("-device", "scsi-cd,bus=scsi.0"),
    *("-blockdev", "null-co,node-name=fast,size=1048576,read-zeroes=on"),
    *("-device", "nvme,drive=fast,serial=N1"),
)


class Kernel(msgspec.Struct, frozen=True):
    """What to boot; ``modules`` is the folder whose name is the release."""

    image: Path
    modules: Path
    busybox: Path


def missing() -> str:
    """What keeps the guest from running here, or ""."""
    if platform.machine() != "x86_64":
        return "the helper guest is for x86_64"
    needed = ("qemu-system-x86_64", "apt-get", "dpkg-deb", "depmod")
    lacking = [tool for tool in needed if not shutil.which(tool)]
    if not _DAEMON.exists():
        lacking.append(str(_DAEMON))
    return f"needs {', '.join(lacking)}" if lacking else ""


async def kernel() -> Kernel:
    """Debian's kernel for clouds, fetched once; raises HostError where that cannot be."""
    home = cache_home() / "vmherd" / "helper" / str(_RECIPE)
    found = _found(home)
    if found is None:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="making-", dir=home.parent) as name:
            made = Path(name) / "made"
            image = await debian.dependency("linux-image-cloud-amd64", r"linux-image-\d.*")
            for package in (image, "busybox-static"):
                path = await debian.download(package, Path(name))
                subprocess.run(["dpkg-deb", "-x", path, made], check=True)
            (release,) = [each.name for each in (made / "lib/modules").iterdir()]
            subprocess.run(["depmod", "-b", made, release], check=True)
            if not home.exists():
                made.rename(home)
        found = _found(home)
    assert found is not None
    return found


def _found(home: Path) -> Kernel | None:
    images, releases = sorted(home.glob("boot/vmlinuz-*")), sorted(home.glob("lib/modules/*"))
    busybox = [path for path in (home / "bin/busybox", home / "usr/bin/busybox") if path.exists()]
    return Kernel(images[0], releases[0], busybox[0]) if images and releases and busybox else None


class Outcome(msgspec.Struct, frozen=True):
    """``said`` is what the program wrote, ``console`` what the kernel did."""

    status: int | None
    said: str
    console: str
    seconds: float


def run(
    words: list[str], place: Path, booted: Kernel, *, patience: float, devices: tuple[str, ...] = (), memory: int = 1024
) -> Outcome:
    """Run a program in the guest, in a folder of this machine; ``devices`` are more arguments for QEMU."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="helper-") as name:
        own = Path(name)
        script = own / "script"
        script.write_text(_SCRIPT.format(place=shlex.quote(str(place)), words=shlex.join(words)))
        write_atomically(own / "initrd", _initrd(booted, script))
        daemon = _serve_files(own)
        try:
            _boot(own, booted, devices, memory, patience)
        finally:
            daemon.kill()
            daemon.wait()
        said = (own / "said").read_text(errors="replace").replace("\r\n", "\n")
        console = (own / "console").read_text(errors="replace")
    said, found, status = said.rpartition(_END)
    number = int(status.split()[0]) if found else None
    return Outcome(number, said if found else status, console, time.monotonic() - began)


def _initrd(booted: Kernel, script: Path) -> bytes:
    """The first program, and the drivers it needs to reach the host's files."""
    release = booted.modules.name
    found = {}
    for path in booted.modules.rglob("*.ko*"):
        found[modules.name_of(path.name)] = path
    loaded = _Modules(found)
    needs = modules.closure(list(_DRIVERS), loaded)
    paths = {name: str(found[name].relative_to(booted.modules)) for name in needs}
    tree: dict[str, Node] = {f"lib/modules/{release}/{paths[name]}": file(found[name].read_bytes()) for name in needs}
    tree[f"lib/modules/{release}/modules.dep"] = file(modules.dependency_list(needs, paths))
    init = _INIT.format(drivers=" ".join(_DRIVERS), modules=booted.modules.parent, script=script)
    tree["init"] = file(init, executable=True)
    tree["bin/busybox"] = file(booted.busybox.read_bytes(), executable=True)
    return pack(tree | {path: folder() for path in ("proc", "sys", "dev", "sbin", "usr/bin", "usr/sbin")})


class _Modules(dict[str, tuple[str, bytes]]):
    """Path and content of modules, read when they are asked for: there are a thousand."""

    def __init__(self, paths: dict[str, Path]) -> None:
        super().__init__()
        self._paths = paths

    def __contains__(self, name: object) -> bool:
        return name in self._paths

    def __missing__(self, name: str) -> tuple[str, bytes]:
        path = self._paths[name]
        return str(path), path.read_bytes()


def _serve_files(own: Path) -> subprocess.Popen[bytes]:
    options = ["source=/", "sandbox=chroot", "cache=always", "log_level=err"]
    argv = [str(_DAEMON), f"--socket-path={own / 'files'}", *(word for each in options for word in ("-o", each))]
    with (own / "virtiofsd").open("wb") as log:
        daemon = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    deadline = time.monotonic() + 10
    while not (own / "files").exists():
        if daemon.poll() is not None or time.monotonic() > deadline:
            daemon.kill()
            raise AssertionError(f"virtiofsd does not start: {(own / 'virtiofsd').read_text()}")
        time.sleep(0.02)
    return daemon


def _boot(own: Path, booted: Kernel, devices: tuple[str, ...], memory: int, patience: float) -> None:
    # A processor of 2008: programs use no instructions then that TCG takes long for.
    argv = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-smp", "2", "-m", str(memory)]
    argv += ["-machine", "q35,memory-backend=mem,kernel-irqchip=off"]
    argv += ["-object", f"memory-backend-memfd,id=mem,size={memory}M,share=on"]
    argv += ["-nodefaults", "-display", "none", "-no-reboot"]
    argv += ["-serial", f"file:{own / 'console'}", "-serial", f"file:{own / 'said'}"]
    argv += ["-kernel", str(booted.image), "-initrd", str(own / "initrd")]
    argv += ["-append", "console=ttyS0 quiet panic=-1 mitigations=off intel_iommu=on"]
    argv += ["-chardev", f"socket,id=files,path={own / 'files'}"]
    argv += ["-device", "vhost-user-fs-pci,chardev=files,tag=host", *devices]
    done = None
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        return  # what it said until then tells
    assert done.returncode == 0, done.stderr


def main(words: list[str]) -> int:
    if problem := missing():
        print(problem, file=sys.stderr)
        return 2
    outcome = run(words, Path.cwd(), asyncio.run(kernel()), patience=600)
    print(outcome.said, end="")
    if outcome.status is None:
        print(outcome.console, file=sys.stderr)
    print(f"{outcome.seconds:.1f} s", file=sys.stderr)
    return 2 if outcome.status is None else outcome.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
