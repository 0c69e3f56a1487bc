"""What the administrator decides about the daemon: who may come in, by which door, and how much they may ask for.

The file is ``daemon.toml`` in /etc/vmherd for the system's daemon, in the user's configuration folder for a session's.
``files/daemon.toml`` is the same file with every setting, its default and what it means; ``vmherd daemon
--print-config`` shows it.  Most settings are those of libvirtd.conf.
"""

from __future__ import annotations

import difflib
import re
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from vmherd.errors import HostError, InvalidArgument
from vmherd.util import paths

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Mode = Annotated[int, Meta(ge=0, le=0o777)]
Level = Literal["debug", "info", "warning", "error"]
#: [name:]port, *:port or [IPv6]:port; port 0 takes a free one.
Listen = Annotated[str, Meta(pattern=r"^(\[[0-9A-Fa-f:.%a-z]+\]|[^:\[\]]*):[0-9]{1,5}$")]

Output = Annotated[str, Meta(pattern=r"^(stderr|syslog|file:/.+)$")]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the file."""


class Sockets(Table, frozen=True, kw_only=True):
    """UNIX sockets; ``folder`` and ``group`` are "" for the mode's own."""

    folder: str = ""
    group: str = ""
    mode: Mode = 0o660
    readonly_mode: Mode = 0o666
    admin_mode: Mode = 0o600
    libvirt_paths: bool = False


class Tcp(Table, frozen=True, kw_only=True):
    """Plain TCP, which neither encrypts nor asks who it is: everyone there has the one ``role``."""

    listen: tuple[Listen, ...] = ()
    role: str = "viewer"


class Tls(Table, frozen=True, kw_only=True):
    """TLS with certificates of both sides; the paths are libvirt's."""

    listen: tuple[Listen, ...] = ()
    ca: str = "/etc/pki/CA/cacert.pem"
    crl: str = ""
    certificate: str = "/etc/pki/libvirt/servercert.pem"
    key: str = "/etc/pki/libvirt/private/serverkey.pem"
    allowed: tuple[str, ...] = ()


class Limits(Table, frozen=True, kw_only=True):
    """How much clients may ask for; seconds and bytes."""

    clients: Positive = 5000
    waiting_clients: Positive = 20
    waiting_seconds: Positive = 30
    calls_per_client: Positive = 5
    message_bytes: Annotated[int, Meta(ge=65536, le=33554432)] = 33554432
    keepalive_interval: Annotated[int, Meta(ge=-1)] = 5
    keepalive_count: NotNegative = 5
    admin_clients: Positive = 5


class Log(Table, frozen=True, kw_only=True):
    """``filters`` give parts of the program a level of their own: {"vmherd.qemu": "debug"}."""

    level: Level = "info"
    format: Literal["plain", "json"] = "plain"
    outputs: tuple[Output, ...] = ("stderr",)
    filters: dict[str, Level] = {}


class Grant(Table, frozen=True, kw_only=True):
    """A role for some people: by user, group or the name in their certificate; for some domains, or all."""

    role: str
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()


class Access(Table, frozen=True, kw_only=True):
    """``default`` is the role of people to whom no grant applies; ``roles`` are permissions by name of the role."""

    default: str = "admin"
    roles: dict[str, tuple[str, ...]] = {}
    grants: tuple[Grant, ...] = ()


class Config(Table, frozen=True, kw_only=True):
    """``uri`` "" is the mode's own; ``idle_exit`` are seconds, 0 for never, None for the mode's own."""

    uri: str = ""
    idle_exit: NotNegative | None = None
    sockets: Sockets = Sockets()
    tcp: Tcp = Tcp()
    tls: Tls = Tls()
    limits: Limits = Limits()
    log: Log = Log()
    access: Access = Access()


def default_path(*, system: bool) -> Path:
    """Where the settings of the system's daemon, or of this user's, are."""
    return (Path("/etc/vmherd") if system else paths.config_home() / "vmherd") / "daemon.toml"


def documented_defaults() -> str:
    """The file with every setting and what it means."""
    return resources.files("vmherd.daemon").joinpath("files/daemon.toml").read_text()


def load(path: Path, *, required: bool = False) -> Config:
    """The settings of a file; the defaults where it is missing and not ``required``.

    Raises HostError naming the file, what is wrong in it, and what to write.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        if required:
            raise HostError(
                f"there is no {path}", hint="'vmherd daemon --print-config' prints one to begin with"
            ) from None
        return Config()
    except (OSError, UnicodeDecodeError) as problem:
        raise HostError(f"cannot read {path}: {problem}") from None
    try:
        return parse(text)
    except InvalidArgument as problem:
        raise HostError(f"{path}: {problem.message}", hint=problem.hint) from None


def parse(text: str) -> Config:
    """Settings from the text of a file.  Raises InvalidArgument with the key and what may stand there."""
    try:
        return msgspec.toml.decode(text, type=Config)
    except msgspec.ValidationError as problem:
        raise _explained(str(problem)) from None
    except msgspec.DecodeError as problem:
        raise InvalidArgument(f"not TOML: {problem}") from None


_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<place>.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_HINT = "'vmherd daemon --print-config' shows every setting and what may stand there"


def _explained(text: str) -> InvalidArgument:
    """msgspec's words as the name of the setting, what is wrong with it, and what to do."""
    found = _PLACE.fullmatch(text)
    assert found is not None
    what, place = found["what"], found["place"] or ""
    if unknown := _UNKNOWN.fullmatch(what):
        name = f"{place}.{unknown[1]}".lstrip(".")
        close = difflib.get_close_matches(re.sub(r"\[.*?\]", "", name), _settings(), n=1)
        return InvalidArgument(f"{name}: no such setting", hint=f"did you mean {close[0]}?" if close else _HINT)
    if "matching regex" in what:
        what = "not of the form that is needed here"
    return InvalidArgument(f"{place or 'the file'}: {what}", hint=_HINT)


def _settings() -> list[str]:
    """The full name of every setting."""
    tables = {f"{name}.": type(value) for name, value in msgspec.structs.asdict(Config()).items()}
    known = {"": Config, "access.grants.": Grant} | {at: kind for at, kind in tables.items() if issubclass(kind, Table)}
    return [at + name for at, kind in known.items() for name in kind.__struct_fields__]
