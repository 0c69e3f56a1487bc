"""What QEMU guests need of a host, checked: what is there, what is missing, and the command that gets it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from vmherd.driver.types import CheckStatus, HostCheck
from vmherd.errors import HostError, HypervisorError
from vmherd.hypervisors.qemu import capabilities
from vmherd.hypervisors.qemu.folders import Folders
from vmherd.hypervisors.qemu.host import accel, firmware
from vmherd.util.cgroup.layout import detect
from vmherd.util.process import identify

#: The controllers of control groups that limit guests.
_LIMITING = ("cpu", "memory", "blkio")
#: Bytes of free space below which guests soon stop for lack of room.
_LITTLE_SPACE = 1 << 30


async def checks(folders: Folders) -> list[HostCheck]:
    """Every check, most important first.  None of them changes anything."""
    return [
        await _qemu(folders),
        _kvm(),
        _program("qemu-img", "disk images cannot be made", "apt install qemu-utils"),
        _uefi(),
        _space(folders),
        _device(Path("/dev/net/tun"), "guests can have user-mode networking only"),
        _program("dnsmasq", "virtual networks have no DHCP and DNS", "apt install dnsmasq-base"),
        _cgroups(),
        _user_namespaces(),
        _pidfd(),
    ]


async def _qemu(folders: Folders) -> HostCheck:
    try:
        binary = capabilities.find_binary(capabilities.host_arch(), None)
        caps = await capabilities.load(binary, folders.cache)
    except (HostError, HypervisorError) as problem:
        return HostCheck(name="QEMU", status=CheckStatus.FAIL, message=problem.message, fix=problem.hint)
    version = ".".join(map(str, caps.version))
    return HostCheck(name="QEMU", status=CheckStatus.OK, message=f"{binary}, version {version}")


def _kvm() -> HostCheck:
    verdict = accel.kvm_usable()
    if verdict.usable:
        return HostCheck(name="KVM", status=CheckStatus.OK, message=verdict.reason)
    message = f"{verdict.reason}; guests run in software (TCG), several times slower"
    return HostCheck(name="KVM", status=CheckStatus.WARN, message=message, fix=verdict.hint)


def _program(name: str, lacking: str, fix: str) -> HostCheck:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path:
        return HostCheck(name=name, status=CheckStatus.OK, message=path)
    return HostCheck(name=name, status=CheckStatus.WARN, message=f"not found: {lacking}", fix=fix)


def _uefi() -> HostCheck:
    try:
        files = [each.mapping for each in firmware.installed() if "uefi" in each.interface_types]
    except HostError as problem:
        return HostCheck(name="UEFI", status=CheckStatus.WARN, message=problem.message, fix=problem.hint)
    if files:
        return HostCheck(name="UEFI", status=CheckStatus.OK, message=f"{len(files)} builds")
    return HostCheck(
        name="UEFI", status=CheckStatus.WARN, message="none: guests boot with BIOS", fix="apt install ovmf"
    )


def _space(folders: Folders) -> HostCheck:
    free = shutil.disk_usage(folders.state).free
    message = f"{free / (1 << 30):.1f} GiB free in {folders.state}"
    enough = free >= _LITTLE_SPACE
    return HostCheck(
        name="disk space",
        status=CheckStatus.OK if enough else CheckStatus.WARN,
        message=message,
        fix="" if enough else "remove what is not needed, or move the folder to a larger disk",
    )


def _device(path: Path, lacking: str) -> HostCheck:
    if os.access(path, os.R_OK | os.W_OK):
        return HostCheck(name=str(path), status=CheckStatus.OK, message="usable")
    fix = f"run as root, or give your user access to {path}" if path.exists() else "modprobe tun"
    return HostCheck(name=str(path), status=CheckStatus.WARN, message=f"not usable: {lacking}", fix=fix)


def _cgroups() -> HostCheck:
    found = detect()
    known = sorted(found.controllers)
    lacking = [name for name in _LIMITING if name not in found]
    if not known:
        fix = "mount -t cgroup2 none /sys/fs/cgroup"
        message = "not mounted: no limits on guests"
        return HostCheck(name="cgroups", status=CheckStatus.WARN, message=message, fix=fix)
    versions = sorted({2 if tree.unified else 1 for tree in found.hierarchies})
    message = f"version {' and '.join(map(str, versions))}: {', '.join(known)}"
    if lacking:
        message += f"; no limits of {', '.join(lacking)}"
        fix = "boot the kernel without cgroup_disable=, and mount /sys/fs/cgroup"
        return HostCheck(name="cgroups", status=CheckStatus.WARN, message=message, fix=fix)
    return HostCheck(name="cgroups", status=CheckStatus.OK, message=message)


def _user_namespaces() -> HostCheck:
    allowed = Path("/proc/sys/user/max_user_namespaces")
    if allowed.exists() and int(allowed.read_text()) > 0:
        return HostCheck(name="user namespaces", status=CheckStatus.OK, message="allowed")
    return HostCheck(
        name="user namespaces",
        status=CheckStatus.WARN,
        message="not allowed: containers need root",
        fix="sysctl user.max_user_namespaces=10000",
    )


def _pidfd() -> HostCheck:
    if hasattr(os, "pidfd_open") and identify(os.getpid()):
        return HostCheck(name="pidfd", status=CheckStatus.OK, message="processes can be followed safely")
    return HostCheck(
        name="pidfd", status=CheckStatus.FAIL, message="this kernel lacks pidfd_open", fix="use Linux 5.3 or newer"
    )
