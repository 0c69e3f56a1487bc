"""Whether KVM can be trusted to run ordinary guests here, not just whether its device opens.

On a host whose own kernel is a guest of a paravirtual KVM (pvm), /dev/kvm opens, a VM can be made and a vCPU even
executes HLT, while an unmodified operating system hangs.  What tells the two apart is cheap to read: hardware
virtualization needs ``vmx`` or ``svm`` in the CPU, and one of the modules that drive it.
"""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

import msgspec

_HARDWARE_MODULES = ("kvm_intel", "kvm_amd")
_HARDWARE_FLAGS = frozenset({"vmx", "svm"})


class Verdict(msgspec.Struct, frozen=True):
    """``reason`` says what was found, ``hint`` what to do where it is not usable."""

    usable: bool
    reason: str
    hint: str = ""


def kvm_usable(root: Path = Path("/")) -> Verdict:
    """Judge KVM from what the kernel shows below ``root``; starts nothing and takes well under a millisecond."""
    device = f"{root}/dev/kvm"
    if not os.path.exists(device):
        return Verdict(False, "/dev/kvm does not exist", _HINT_ABSENT)
    if not os.access(device, os.R_OK | os.W_OK):
        return Verdict(False, "/dev/kvm is not ours to open", "add your user to the group 'kvm' and log in again")
    if platform.machine() in ("x86_64", "i686") and not _has_hardware(root):
        return Verdict(
            False,
            "/dev/kvm opens, but this CPU offers neither VMX nor SVM, so guests would hang",
            "on a virtual machine, ask its host for nested virtualization; on hardware, enable it in the firmware",
        )
    return Verdict(True, "/dev/kvm is usable")


def _has_hardware(root: Path) -> bool:
    modules = f"{root}/sys/module"
    if any(os.path.exists(f"{modules}/{name}") for name in _HARDWARE_MODULES):
        return True
    return bool(_HARDWARE_FLAGS & _cpu_flags(root))


@cache
def _cpu_flags(root: Path) -> frozenset[str]:
    """What the CPU can do, which never changes while we run."""
    try:
        with (root / "proc/cpuinfo").open() as lines:
            return frozenset(next((line for line in lines if line.startswith("flags")), "").split())
    except OSError:
        return frozenset()


_HINT_ABSENT = "load the module kvm_intel or kvm_amd; without it guests run in software"
