"""Labels of SELinux: a pair of categories for each guest, which its process and its files have and no other guest's.

Source: security_selinux.c of libvirt; the files virtual_domain_context and virtual_image_context of a policy
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection
from pathlib import Path

import msgspec

from vmherd.errors import HostError

MODEL = "selinux"
#: Where a process says what it will be labelled when it starts a program; the thread's own (proc(5)).
_EXEC = Path("/proc/thread-self/attr/exec")
_SELF = Path("/proc/self/attr/current")
_CONFIG = Path("/etc/selinux/config")
_STATE = Path("/sys/fs/selinux")
_ATTRIBUTE = "security.selinux"
#: How often we look for a pair that no guest has, as libvirt does.
_TRIES = 1000
_RANGE = re.compile(r"(?P<sensitivity>s\d+)(?:-s\d+)?(?::c(?P<low>\d+)(?:\.c(?P<high>\d+))?)?")


class Context(msgspec.Struct, frozen=True):
    """``system_u:system_r:svirt_t:s0:c1,c2``"""

    user: str
    role: str
    type: str
    level: str = ""

    def __str__(self) -> str:
        return ":".join(part for part in (self.user, self.role, self.type, self.level) if part)


class Policy(msgspec.Struct, frozen=True):
    """What guests are labelled by: the contexts of processes, with KVM and emulated, of their images, and of what
    they only read.  ``ours`` is our own context, whose level says which categories we may give.
    """

    kvm: Context
    emulated: Context
    image: Context
    content: Context
    ours: Context


class Labels(msgspec.Struct, frozen=True):
    """What the process of a guest has, what files have that it alone uses, and those that several read or write."""

    process: str
    image: str
    content: str
    shared: str


def parse(text: str) -> Context:
    """Read a context.  Raises HostError for what is none."""
    parts = text.strip().rstrip("\0").split(":", 3)
    if len(parts) < 3 or not all(parts):
        raise HostError(f"{text!r} is no SELinux context", hint="they read user:role:type:level")
    return Context(*parts)


def active(state: Path = _STATE) -> bool:
    """Whether this host labels processes and files."""
    return (state / "enforce").exists()


def enforcing(state: Path = _STATE) -> bool:
    try:
        return (state / "enforce").read_text().strip() == "1"
    except OSError:
        return False


def load_policy(config: Path = _CONFIG, ours: Path = _SELF) -> Policy:
    """The contexts of guests in the host's policy.  Raises HostError where the policy has none."""
    try:
        told = dict(line.split("=", 1) for line in config.read_text().splitlines() if re.match(r"\w+=", line))
        contexts = config.parent / told["SELINUXTYPE"].strip() / "contexts"
        process = (contexts / "virtual_domain_context").read_text().split()
        image = (contexts / "virtual_image_context").read_text().split()
        own = ours.read_text()
    except (OSError, KeyError) as problem:
        text = f"the host's SELinux policy says nothing of virtual machines: {problem}"
        raise HostError(text, hint='install its policy package, or set security_driver = "none" in qemu.toml') from None
    return Policy(
        kvm=parse(process[0]),
        emulated=parse(process[-1]),
        image=parse(image[0]),
        content=parse(image[-1]),
        ours=parse(own),
    )


def choose_level(policy: Policy, taken: Collection[str]) -> str:
    """A level with two categories that no other guest has.  Raises HostError where all are taken."""
    told = _RANGE.match(policy.ours.level)
    if told is None:
        raise HostError(f"our own SELinux level {policy.ours.level!r} cannot be read")
    low, high = int(told["low"] or 0), int(told["high"] or told["low"] or 1023)
    if high <= low:
        raise HostError("we may give no two categories of SELinux", hint="start vmherd with the level s0-s0:c0.c1023")
    for _ in range(_TRIES):
        first, second = sorted(random.sample(range(low, high + 1), 2))
        level = f"{told['sensitivity']}:c{first},c{second}"
        if level not in taken:
            return level
    raise HostError("all categories of SELinux are taken", hint="stop other guests")


def labels(policy: Policy, level: str, *, kvm: bool, process: str = "") -> Labels:
    """Those of a guest with that level; ``process`` is what its document says instead (a static label, or a base)."""
    base = parse(process) if process else policy.kvm if kvm else policy.emulated
    level = base.level if process and ":" in base.level else level
    sensitivity = level.split(":")[0]
    return Labels(
        process=str(msgspec.structs.replace(base, level=level)),
        image=str(msgspec.structs.replace(policy.image, level=level)),
        content=str(msgspec.structs.replace(policy.content, level=sensitivity)),
        shared=str(msgspec.structs.replace(policy.image, level=sensitivity)),
    )


def level_of(label: str) -> str:
    """The level in a label, which the guest that has it has taken."""
    return parse(label).level


def of_file(found: Labels, *, writes: bool, shared: bool) -> str:
    """The label of a file that a guest uses.  Source: virSecuritySELinuxSetImageLabelInternal"""
    if not writes:
        return found.content
    return found.shared if shared else found.image


def label_next(process: str) -> None:
    """Have the next program that this thread starts run with a label.  Raises OSError."""
    _EXEC.write_bytes(process.encode() + b"\0")


#: The extended attribute of a file, and how a label is written there.
ATTRIBUTE = _ATTRIBUTE


def encoded(label: str) -> bytes:
    return label.encode() + b"\0"
