"""Addresses by DHCP: from a client that is installed here, which goes on by itself.

Source: dhcpcd(8), dhclient(8)
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from vmherd.conf.interface import Family, Interface, Protocol
from vmherd.errors import HostError, Unsupported
from vmherd.util.command import run

#: Seconds for a client to go into the background.
_PATIENCE = 30.0


def wanting(document: Interface) -> list[Protocol]:
    """The protocols of a document that get their addresses by DHCP."""
    return [protocol for protocol in document.protocols if protocol.dhcp is not None]


async def start(document: Interface, folder: Path) -> None:
    """Start a client for each protocol that wants one; ``folder`` is for its files.  Raises HostError."""
    for protocol in wanting(document):
        await run(_start_words(document.name, protocol, folder), patience=_PATIENCE)


def _start_words(name: str, protocol: Protocol, folder: Path) -> list[str]:
    assert protocol.dhcp is not None
    version = _version(protocol)
    if shutil.which("dhcpcd"):
        quiet = ["-C", "resolv.conf"] if protocol.dhcp.peerdns is False else []
        return ["dhcpcd", version, "-b", *quiet, name]
    if shutil.which("dhclient"):
        if protocol.dhcp.peerdns is False:
            text = "dhclient takes over name servers"
            raise Unsupported(text, place="interface/protocol/dhcp/@peerdns", hint="apt install dhcpcd-base")
        return ["dhclient", version, "-nw", *_files(name, version, folder), name]
    raise HostError("there is no DHCP client on this host", hint="apt install dhcpcd-base")


def _version(protocol: Protocol) -> str:
    return "-4" if protocol.family is Family.IPV4 else "-6"


def _files(name: str, version: str, folder: Path) -> list[str]:
    base = folder / f"dhclient{version}-{name}"
    return ["-pf", f"{base}.pid", "-lf", f"{base}.leases"]


async def stop(document: Interface, folder: Path) -> None:
    """Have the clients give their addresses back, and end."""
    for protocol in wanting(document):
        version = _version(protocol)
        words = ["dhclient", version, "-r", *_files(document.name, version, folder), document.name]
        if not (folder / f"dhclient{version}-{document.name}.pid").exists():
            words = ["dhcpcd", version, "-k", document.name]
        with suppress(HostError):  # it is not there any more
            await run(words, patience=_PATIENCE)
