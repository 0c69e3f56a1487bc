"""Managing the daemon while it runs: its servers and their clients, limits, the log, how long it stays."""

from __future__ import annotations

import grp
import logging
import pwd
from collections.abc import Callable, Mapping

from vmherd.daemon.logs import LEVELS, Logs, Output
from vmherd.daemon.wire.client import Client
from vmherd.daemon.wire.server import Server
from vmherd.errors import InvalidArgument, NotFound

#: The servers of a daemon, by libvirt's names.
MAIN, ADMIN = "libvirtd", "admin"

_NUMBERS = {level: number for number, level in LEVELS.items()}
_OURS = "vmherd."


class ServerNotFound(NotFound):
    code = 95  # VIR_ERR_NO_SERVER


class ClientNotFound(NotFound):
    code = 96  # VIR_ERR_NO_CLIENT


class Manager:
    """What somebody at the admin socket can see and do.

    ``renew_tls`` reads the certificates anew; ``stay`` sets the seconds without need after which the daemon leaves.
    """

    def __init__(
        self,
        servers: Mapping[str, Server],
        logs: Logs,
        *,
        renew_tls: Callable[[], None],
        stay: Callable[[int], None],
    ) -> None:
        self.servers = servers
        self.logs = logs
        self.renew_tls = renew_tls
        self.stay = stay

    def server(self, name: str) -> Server:
        """Raises ServerNotFound."""
        if name not in self.servers:
            raise ServerNotFound(f"no server named {name!r}", hint=f"there are: {', '.join(self.servers)}")
        return self.servers[name]

    def client(self, server: str, number: int) -> Client:
        """Raises ClientNotFound."""
        found = self.server(server).clients.get(number)
        if found is None:
            raise ClientNotFound(f"no client {number} on server {server!r}")
        return found

    # The log in libvirt's words: "1:qemu 3:wire" and "1:file:/var/log/vmherd.log 3:stderr"

    def filters(self) -> list[str]:
        return [f"{_NUMBERS[level]}:{name.removeprefix(_OURS)}" for name, level in self.logs.filters.items()]

    def set_filters(self, text: str) -> None:
        """Raises InvalidArgument for a word that is none."""
        parts = [_split(word) for word in text.split()]
        names = [name if name.startswith("vmherd") else _OURS + name for _, name in parts]
        self.logs.set_filters({name: level for name, (level, _) in zip(names, parts, strict=True)})

    def outputs(self) -> list[str]:
        return [f"{_NUMBERS[output.level]}:{output.where}" for output in self.logs.outputs]

    def set_outputs(self, text: str) -> None:
        """Raises InvalidArgument for a word that is none, HostError for a file that cannot be written."""
        self.logs.set_outputs([_output(word) for word in text.split()] or [Output(logging.DEBUG, "stderr")])


def _split(word: str) -> tuple[int, str]:
    number, _, rest = word.partition(":")
    if number not in map(str, LEVELS) or not rest:
        raise InvalidArgument(f"{word!r} is not LEVEL:NAME", hint="levels: 1 debug, 2 info, 3 warning, 4 error")
    return LEVELS[int(number)], rest


def _output(word: str) -> Output:
    level, where = _split(word)
    kind, _, rest = where.partition(":")
    if kind == "syslog":
        where = kind  # the name of the program in it is ours
    elif where != "stderr" and not (kind == "file" and rest.startswith("/")):
        raise InvalidArgument(f"no output {where!r}", hint="there are: stderr, syslog and file:/PATH")
    return Output(level, where)


def described(client: Client) -> dict[str, bool | int | str]:
    """A client, by libvirt's names of what there is to know (VIR_CLIENT_INFO_*)."""
    who = client.identity
    told: dict[str, bool | int | str] = {"readonly": client.readonly}
    if who.uid is not None and who.gid is not None:
        told |= {"unix_user_id": who.uid, "unix_user_name": _user(who.uid)}
        told |= {"unix_group_id": who.gid, "unix_group_name": _group(who.gid)}
        told |= {"unix_process_id": who.pid or 0}
    if who.address:
        told["sock_addr"] = who.address
    if who.name:
        told["tls_x509_dname"] = who.name
    return told


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
