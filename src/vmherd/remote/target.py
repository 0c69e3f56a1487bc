"""What a connection URI says of the way to another host.

Source: https://libvirt.org/uri.html and https://libvirt.org/remote.html
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, urlencode

import msgspec

from vmherd.driver.uri import ConnectURI
from vmherd.errors import InvalidArgument

TRANSPORTS = ("unix", "ssh", "tls", "tcp", "ext")

#: Parameters that are about the way; all others are for the driver at its end.
_OURS = frozenset(
    {
        "name",
        "command",
        "socket",
        "netcat",
        "keyfile",
        "known_hosts",
        "pkipath",
        "proxy",
        "mode",
        "no_verify",
        "no_tty",
        "no_sanity",
    }
)
#: Those of libvirt's clients that nothing here has a use for, with what to do in their place.
_FOREIGN = {
    "tls_priority": "the system's OpenSSL settings choose the ciphers",
    "sshauth": "set it in ~/.ssh/config",
    "known_hosts_verify": "set StrictHostKeyChecking in ~/.ssh/config, or use no_verify=1",
}
_PORTS = {"tls": 16514, "tcp": 16509}
_MODES = ("auto", "legacy", "direct")
_PROXIES = ("auto", "netcat", "native")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """``name`` is what the other side is asked to open; ``port`` 0 is the transport's own."""

    transport: str
    name: str
    host: str = ""
    port: int = 0
    user: str = ""
    socket: str = ""
    command: str = ""
    netcat: str = ""
    keyfile: str = ""
    known_hosts: str = ""
    pkipath: str = ""
    proxy: str = "auto"
    mode: str = "auto"
    no_verify: bool = False
    no_tty: bool = False

    @property
    def is_session(self) -> bool:
        """Whether it is a user's own daemon, not the system's."""
        return self.name.partition("?")[0].endswith("/session")


def target(uri: ConnectURI) -> Target:
    """Read a URI.  Raises InvalidArgument for a transport or a parameter's value that there is not."""
    transport = uri.transport or ("tls" if uri.host else "unix")
    if transport not in TRANSPORTS:
        hint = "use ssh" if transport.startswith("libssh") else f"there are: {', '.join(TRANSPORTS)}"
        raise InvalidArgument(f"there is no transport {transport!r}", hint=hint)
    params = uri.params
    if transport == "unix" and uri.host:
        raise InvalidArgument(
            f"using a UNIX socket with the remote server {uri.host!r} is not supported", hint="use ssh or tls"
        )
    if transport == "ext" and "command" not in params:
        raise InvalidArgument("the transport ext needs a command", hint="add ?command=PROGRAM to the URI")
    for name in _FOREIGN.keys() & params.keys():
        raise InvalidArgument(f"the parameter {name} is not supported", hint=_FOREIGN[name])
    texts = ("socket", "command", "netcat", "keyfile", "known_hosts", "pkipath")
    return Target(
        transport=transport,
        name=_name(uri),
        host=uri.host or "localhost",
        port=uri.port or _PORTS.get(transport, 0),
        user=uri.user,
        proxy=_choice(params, "proxy", _PROXIES),
        mode=_choice(params, "mode", _MODES),
        no_verify=_truth(params, "no_verify"),
        no_tty=_truth(params, "no_tty"),
        **{name: params.get(name, "") for name in texts},
    )


def _name(uri: ConnectURI) -> str:
    """The URI without the way; that of the scheme "remote" is whatever the other side has."""
    if "name" in uri.params:
        return uri.params["name"]
    if uri.scheme == "remote":
        return ""
    rest = {name: value for name, value in uri.params.items() if name not in _OURS}
    query = f"?{urlencode(rest, quote_via=quote)}" if rest else ""
    return f"{uri.scheme}://{quote(uri.path or '/')}{query}"


def _truth(params: dict[str, str], name: str) -> bool:
    """libvirt takes any number but 0."""
    text = params.get(name, "0")
    if not text.lstrip("-").isdecimal():
        raise InvalidArgument(f"the parameter {name}={text!r} is not a number", hint="write 0 or 1")
    return int(text) != 0


def _choice(params: dict[str, str], name: str, words: tuple[str, ...]) -> str:
    word = params.get(name, words[0])
    if word not in words:
        raise InvalidArgument(f"there is no {name} {word!r}", hint=f"there are: {', '.join(words)}")
    return word


def sockets(wanted: Target, *, readonly: bool, environment: dict[str, str] | None = None) -> list[Path]:
    """Where a daemon may listen on this host: vmherd's first, then libvirt's, the one of the driver before the old.

    ``mode`` leaves out the old one ("direct") or the driver's own ("legacy").
    """
    if wanted.socket:
        return [Path(wanted.socket)]
    variables = os.environ if environment is None else environment
    scheme = wanted.name.partition(":")[0]
    daemons = [f"virt{scheme}d", "libvirt"] if scheme else ["libvirt"]
    daemons = {"direct": daemons[:-1] or daemons, "legacy": daemons[-1:]}.get(wanted.mode, daemons)
    end = "-sock-ro" if readonly and not wanted.is_session else "-sock"
    run = Path(variables.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}") if wanted.is_session else Path("/run")
    own = [run / f"vmherd/libvirt{end}"] if wanted.mode != "direct" else []
    return [*own, *(run / f"libvirt/{name}{end}" for name in daemons)]
