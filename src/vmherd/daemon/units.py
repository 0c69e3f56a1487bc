"""The files by which a host starts the daemon: units of systemd, and a script for FreeBSD's rc."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

from vmherd.util.files import on_host, write_atomically
from vmherd.util.paths import config_home

_SYSTEMD = ("vmherd.service", "vmherd.socket", "vmherd-ro.socket", "vmherd-admin.socket")
_RC = "vmherd.rc"


def install(*, system: bool, folder: Path | None = None) -> list[Path]:
    """Write the files for this host's way of starting services, by default to where it looks for them.

    Raises HostError where they cannot be written.
    """
    freebsd = sys.platform.startswith("freebsd")
    target = folder or _folder(system=system, freebsd=freebsd)
    written = []
    with on_host(f"write to {target}"):
        target.mkdir(parents=True, exist_ok=True)
        for name in (_RC,) if freebsd else _SYSTEMD:
            path = target / name.removesuffix(".rc")
            write_atomically(path, text(name, system=system).encode(), mode=0o755 if freebsd else 0o644)
            written.append(path)
    return written


def _folder(*, system: bool, freebsd: bool) -> Path:
    if freebsd:
        return Path("/usr/local/etc/rc.d")
    return Path("/etc/systemd/system") if system else config_home() / "systemd/user"


def text(name: str, *, system: bool) -> str:
    """One of the files, for the vmherd that is running."""
    found = resources.files("vmherd.daemon").joinpath("files", name).read_text()
    target = "multi-user.target" if system else "default.target"
    command = f"{sys.executable} -m vmherd"
    return found.replace("@VMHERD@", command).replace("@PYTHON@", sys.executable).replace("@TARGET@", target)
