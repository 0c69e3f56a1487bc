"""A user's own folders, after the XDG Base Directory Specification 0.8; and paths as others can follow them."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from pathlib import Path

from vmherd.errors import HostError


def cache_home() -> Path:
    return _home("XDG_CACHE_HOME", ".cache")


def config_home() -> Path:
    return _home("XDG_CONFIG_HOME", ".config")


def state_home() -> Path:
    return _home("XDG_STATE_HOME", ".local/state")


def runtime_home() -> Path:
    """Where sockets go: ``XDG_RUNTIME_DIR``, or a private folder below the temporary one where it is not set.

    Raises HostError if somebody else has put something there.
    """
    told = os.environ.get("XDG_RUNTIME_DIR", "")
    if Path(told).is_absolute():
        return Path(told)
    own = Path(tempfile.gettempdir()) / f"vmherd-{os.geteuid()}"
    own.mkdir(mode=0o700, exist_ok=True)
    found = own.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise HostError(
            f"{own} is not a private folder of ours", hint="remove it, or set XDG_RUNTIME_DIR to another folder"
        )
    return own


def absolute(path: str | Path) -> Path:
    """A path for whoever has another working folder."""
    return Path(path).absolute()


def _home(variable: str, default: str) -> Path:
    """The specification has relative paths ignored."""
    told = Path(os.environ.get(variable, ""))
    return told if told.is_absolute() else Path.home() / default


def without_doubled_slashes(path: str) -> str:
    """``path`` with single slashes and none at its end; two at the beginning stay, POSIX gives them a meaning."""
    lead = "//" if re.match(r"//(?!/)", path) else "/" if path.startswith("/") else ""
    return lead + re.sub(r"/+", "/", path).strip("/")
