"""Where the QEMU driver keeps things, in system, session and embedded mode.

qemu:///system            /var/lib, /run, /var/log and /var/cache, for root
qemu:///session           the user's XDG folders
qemu:///embed?root=DIR    everything under one folder, for programs with guests of their own
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from vmherd.driver.uri import ConnectURI
from vmherd.errors import ConnectFailed, HostError
from vmherd.util import paths

#: The file with QEMU's pid in a guest's folder.
PIDFILE = "qemu.pid"
#: That with its profile, where AppArmor confines it.
PROFILE = "profile.apparmor"


class Folders(msgspec.Struct, frozen=True, kw_only=True):
    """``state`` outlives a reboot of the host, ``run`` does not, ``cache`` may be emptied at any time.

    ``settings`` is the administrator's.  ``privileged``: root's guests, of whose share of the host we decide.
    ``shared``: those of the whole host, not of one program.
    """

    state: Path
    run: Path
    log: Path
    cache: Path
    images: Path
    settings: Path
    privileged: bool = False
    shared: bool = False

    @property
    def database(self) -> Path:
        return self.state / "state.db"

    @property
    def listeners(self) -> Path:
        return self.run / "listeners"

    @property
    def jobs(self) -> Path:
        return self.run / "jobs"

    @property
    def endings(self) -> Path:
        """The locks of those who clear away what guests leave."""
        return self.run / "endings"

    @property
    def ports(self) -> Path:
        return self.run / "ports"

    @property
    def keeper_lock(self) -> Path:
        return self.run / "keeper.lock"

    @property
    def nvram(self) -> Path:
        """The variables of guests with UEFI."""
        return self.state / "nvram"

    def saved(self, name: str) -> Path:
        """Where the guest of that name is while it is saved by itself."""
        return self.state / "save" / f"{name}.save"

    def tpm(self, uuid: str) -> Path:
        """What a guest's emulated TPM remembers."""
        return self.state / "tpm" / uuid

    @property
    def config(self) -> Path:
        """The administrator's settings."""
        return self.settings / "qemu.toml"

    def guest(self, uuid: str) -> Path:
        """What a running guest needs: its sockets, its locks."""
        return self.run / "guests" / uuid

    def owners(self, uuid: str) -> Path:
        """The note of which files belong to a guest; it outlives a reboot, as owners do."""
        return self.state / "owners" / f"{uuid}.json"

    def ram(self, uuid: str) -> Path:
        """The memory of a guest that has it in files: on disk, since it may be larger than what /run holds."""
        return self.state / "ram" / uuid

    def control(self, uuid: str) -> Path:
        """The monitor for whoever has a command for the guest."""
        return self.guest(uuid) / "monitor.sock"

    def watch(self, uuid: str) -> Path:
        """The monitor that the keeper listens on."""
        return self.guest(uuid) / "watch.sock"

    def query(self, uuid: str) -> Path:
        """The monitor for questions, which nobody holds for longer than one takes."""
        return self.guest(uuid) / "query.sock"

    def pidfile(self, uuid: str) -> Path:
        """It belongs to whom QEMU runs as."""
        return self.guest(uuid) / PIDFILE

    def guest_log(self, name: str) -> Path:
        """What QEMU says while the guest of that name runs."""
        return self.log / f"{name}.log"

    def create(self) -> None:
        """Make every folder, for us alone.  Raises HostError where that is not allowed."""
        try:
            for folder in (
                self.state,
                self.nvram,
                self.run / "guests",
                self.listeners,
                self.jobs,
                self.ports,
                self.log,
                self.cache,
            ):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as problem:
            raise HostError(f"cannot make {problem.filename}: {problem.strerror}", hint=_HINT) from problem


def for_uri(uri: ConnectURI) -> Folders:
    """The folders of a connection.  Raises ConnectFailed for a path that is neither of the three."""
    match uri.path:
        case "/system":
            return _system()
        case "/session":
            return _session()
        case "/embed" if uri.params.get("root"):
            return _embedded(Path(uri.params["root"]).absolute())
        case _:
            raise ConnectFailed(
                f"the QEMU driver has no {uri.path!r}",
                hint="use qemu:///system, qemu:///session or qemu:///embed?root=DIR",
            )


def _system() -> Folders:
    if os.geteuid() != 0:
        raise ConnectFailed(
            "qemu:///system needs root", hint="become root, or use qemu:///session, which needs no rights"
        )
    return Folders(
        state=Path("/var/lib/vmherd/qemu"),
        run=Path("/run/vmherd/qemu"),
        log=Path("/var/log/vmherd/qemu"),
        cache=Path("/var/cache/vmherd/qemu"),
        images=Path("/var/lib/vmherd/images"),
        settings=Path("/etc/vmherd"),
        privileged=True,
        shared=True,
    )


def _session() -> Folders:
    state = paths.state_home() / "vmherd"
    return Folders(
        state=state / "qemu",
        run=paths.runtime_home() / "vmherd" / "qemu",
        log=state / "qemu" / "log",
        cache=paths.cache_home() / "vmherd" / "qemu",
        images=state / "images",
        settings=paths.config_home() / "vmherd",
    )


def _embedded(root: Path) -> Folders:
    return Folders(
        state=root / "state",
        run=root / "run",
        log=root / "log",
        cache=root / "cache",
        images=root / "images",
        settings=root,
        privileged=os.geteuid() == 0,
    )


_HINT = "check who owns the folder above it, and that the disk has room"
