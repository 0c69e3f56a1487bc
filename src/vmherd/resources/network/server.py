"""The dnsmasq of a network: its files, and the process, which outlives us.

It gives up root's rights once it has started, but reads the files of hosts later, whenever it is told of a change.
So those are in a folder that everybody may look into; leases, which it keeps open, are not.
"""

from __future__ import annotations

import asyncio
import signal
import stat
from contextlib import suppress
from pathlib import Path

import msgspec

from vmherd.conf.network import Network
from vmherd.errors import HostError
from vmherd.resources.network import dnsmasq
from vmherd.util import process
from vmherd.util.command import run
from vmherd.util.files import on_host, write_atomically
from vmherd.util.process import ProcessId

#: Seconds that dnsmasq gets to start, which includes binding to all addresses.
_PATIENCE = 20.0
_READABLE = 0o644


class Files(msgspec.Struct, frozen=True):
    """Where dnsmasq's files are: ``open_to_all`` what it reads, ``leases`` what outlives a boot of the host."""

    open_to_all: Path
    leases: Path

    def create(self) -> None:
        """Make the folders.  Raises HostError."""
        with on_host("make the folders of dnsmasq"):
            self.open_to_all.mkdir(parents=True, exist_ok=True, mode=0o755)
            self.leases.mkdir(parents=True, exist_ok=True, mode=0o700)

    def of(self, network: Network, kind: str) -> Path:
        return dnsmasq.file_of(network, self.leases if kind == "leases" else self.open_to_all, kind)


def is_needed(network: Network) -> bool:
    """Whether there is something to serve.  Source: networkStartDhcpDaemon"""
    serves = any(ip.serves_dhcp or ip.version == 6 for ip in network.ips)
    return bool(network.ips) and (serves or network.dns is None or network.dns.wanted)


async def start(network: Network, files: Files) -> ProcessId:
    """Start dnsmasq; it serves when this returns.  Raises HostError with its own words."""
    await asyncio.to_thread(_write, network, files, configuration=True)
    await run(
        [
            "dnsmasq",
            _word(network, files),
            f"--dhcp-leasefile={files.of(network, 'leases')}",
            *_rights(files.open_to_all),
        ],
        patience=_PATIENCE,
        package="dnsmasq-base",
    )
    found = _noted(network, files) or await asyncio.to_thread(_searched, network, files)
    if found is None:
        raise HostError(f"dnsmasq of network {network.name!r} ended at once", hint="its log is in the host's syslog")
    return found


def _write(network: Network, files: Files, *, configuration: bool) -> None:
    files.create()
    pid_file = files.of(network, "pid")
    texts = {
        "hostsfile": dnsmasq.hosts_file(network),
        "addnhosts": dnsmasq.additional_hosts_file(network),
    }
    if configuration:
        texts["conf"] = dnsmasq.configuration(network, files.open_to_all, pid_file=pid_file)
    with on_host("write the files of dnsmasq"):
        for kind, text in texts.items():
            write_atomically(files.of(network, kind), text.encode(), mode=_READABLE)


def _rights(folder: Path) -> list[str]:
    """Under a private folder, such as that of an embedded host, only we can read: dnsmasq stays who we are then."""
    closed = any(not each.stat().st_mode & stat.S_IXOTH for each in (folder, *folder.parents))
    return ["--user=root", "--group=root"] if closed else []


async def refresh(network: Network, files: Files, server: ProcessId) -> None:
    """Have dnsmasq read the files of hosts again."""
    await asyncio.to_thread(_write, network, files, configuration=False)
    process.send_signal(server, signal.SIGHUP)


async def stop(network: Network, files: Files, server: ProcessId | None) -> None:
    """End dnsmasq, also one that nobody had time to note; its leases stay, for when the network starts again."""
    server = server or _noted(network, files) or await asyncio.to_thread(_searched, network, files)
    if server:
        await process.end(server, patience=5.0)
    for kind in ("conf", "hostsfile", "addnhosts", "pid"):
        files.of(network, kind).unlink(missing_ok=True)


def _word(network: Network, files: Files) -> str:
    """What this network's dnsmasq has on its command line, and no other."""
    return f"--conf-file={files.of(network, 'conf')}"


def _noted(network: Network, files: Files) -> ProcessId | None:
    """The dnsmasq of a network, by the file where it writes its number."""
    with suppress(OSError, ValueError):
        pid = int(files.of(network, "pid").read_text())
        if _word(network, files).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            return process.identify(pid)
    return None


def _searched(network: Network, files: Files) -> ProcessId | None:
    """The same without that file, among all processes."""
    pid = process.find_by_argument(_word(network, files))
    return process.identify(pid) if pid else None


def forget_leases(network: Network, files: Files) -> None:
    """Remove what was given away, once nobody will ask for it any more."""
    files.of(network, "leases").unlink(missing_ok=True)
