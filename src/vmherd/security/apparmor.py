"""Profiles of AppArmor: one for each guest, with the files that it uses, loaded before its start and gone with it.

Source: security_apparmor.c and virt-aa-helper.c of libvirt; apparmor.d(5), apparmor_parser(8)
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from vmherd.errors import HostError
from vmherd.util.command import run

MODEL = "apparmor"
_STATE = Path("/sys/kernel/security/apparmor")
_SWITCH = Path("/sys/module/apparmor/parameters/enabled")
_EXEC = Path("/proc/thread-self/attr/exec")
_ABSTRACTIONS = Path("/etc/apparmor.d/abstractions")
_PATIENCE = 20.0
#: Characters that mean something in a path of a profile.
_SPECIAL = '\\"*?[]{}^'

_PROFILE = """\
#include <tunables/global>

profile {name} flags=(attach_disconnected) {{
{includes}
  network inet stream,
  network inet6 stream,
  network unix stream,
  ptrace (readby, tracedby) peer=unconfined,
  signal (receive) peer=unconfined,

  /usr/share/qemu/** r,
  /usr/share/seabios/** r,
  /usr/share/ovmf/** rk,
  /usr/share/OVMF/** rk,
  /usr/lib/@{{multiarch}}/qemu/** rm,
  /dev/ptmx rw,
  /dev/pts/* rw,
  /dev/kvm rw,
  owner @{{PROC}}/@{{pid}}/** r,
  {emulator} rmix,
{files}
}}
"""


class Rule(msgspec.Struct, frozen=True):
    """A file that a guest uses; of a folder all that is in it."""

    path: str
    writes: bool = False
    folder: bool = False


def active(state: Path = _STATE, switch: Path = _SWITCH) -> bool:
    """Whether this host confines programs by profiles."""
    try:
        return switch.read_text().strip() == "Y" and state.is_dir()
    except OSError:
        return False


def name(uuid: str) -> str:
    """The profile of a guest, which is its label, too."""
    return f"vmherd-{uuid}"


def profile(uuid: str, emulator: str, rules: Iterable[Rule], abstractions: Path = _ABSTRACTIONS) -> str:
    """The text of a guest's profile.  Raises HostError for a path that none can name."""
    included = [each for each in ("base", "nameservice", "libvirt-qemu") if (abstractions / each).exists()]
    return _PROFILE.format(
        name=name(uuid),
        includes="\n".join(f"  #include <abstractions/{each}>" for each in included),
        emulator=_quoted(emulator),
        files="\n".join(f"  {_rule(each)}" for each in rules),
    )


def _rule(rule: Rule) -> str:
    """Images are locked by QEMU, hence the k."""
    path = f"{rule.path.rstrip('/')}/" if rule.folder else rule.path
    return f"{_quoted(path, '**' if rule.folder else '')} {'rwk' if rule.writes else 'rk'},"


def _quoted(path: str, pattern: str = "") -> str:
    if "\n" in path or "\0" in path:
        raise HostError(f"no AppArmor profile can name {path!r}", hint="rename the file")
    plain = "".join(f"\\{letter}" if letter in _SPECIAL else letter for letter in path)
    return f'"{plain}{pattern}"'


async def load(file: Path) -> None:
    """Put a profile in force, in place of the one it had.  Raises HostError with the parser's words."""
    await run(["apparmor_parser", "--replace", "--skip-cache", file], patience=_PATIENCE, package="apparmor")


async def unload(file: Path) -> None:
    """Take a profile out of force.  Raises HostError."""
    await run(["apparmor_parser", "--remove", file], patience=_PATIENCE, package="apparmor")


def label_next(uuid: str) -> None:
    """Have the next program that this thread starts run in the guest's profile.  Raises OSError."""
    _EXEC.write_bytes(f"exec {name(uuid)}".encode())
