"""Where a driver of this host keeps its things: the system's, a session's, or those of one folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from vmherd.driver.uri import ConnectURI
from vmherd.errors import HostError
from vmherd.util import paths


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """``state`` outlives a reboot of the host, ``run`` does not.  Both are there, for their owner alone.

    ``settings`` is where the owner of the host says how things shall be; it may be missing.
    """

    state: Path
    run: Path
    settings: Path


def of_uri(uri: ConnectURI, what: str) -> Places:
    """The places of ``what`` beside the guests of a URI.  Raises HostError where they cannot be made."""
    state, run, settings = _roots(uri)
    places = Places(state=state / what, run=run / what, settings=settings)
    try:
        for folder in (places.state, places.run):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as problem:
        hint = "check who owns the folder above it, and that the disk has room"
        raise HostError(f"cannot make {problem.filename}: {problem.strerror}", hint=hint) from problem
    return places


def _roots(uri: ConnectURI) -> tuple[Path, Path, Path]:
    match uri.path:
        case "/system":
            return Path("/var/lib/vmherd"), Path("/run/vmherd"), Path("/etc/vmherd")
        case "/embed" if uri.params.get("root"):
            root = Path(uri.params["root"]).absolute()
            return root / "state", root / "run", root
    state, run, settings = paths.state_home(), paths.runtime_home(), paths.config_home()
    return state / "vmherd", run / "vmherd", settings / "vmherd"
