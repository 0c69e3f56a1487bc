"""Sessions of this host with iSCSI targets.

Source: iscsiadm(8), the README of open-iscsi
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import msgspec

from vmherd.errors import HostError
from vmherd.util import command

_PACKAGE = "open-iscsi"
#: Seconds that a login may take.
_PATIENCE = 120.0
_SESSION = re.compile(r"\S+: \[(\d+)\] (\S+),\S+ (\S+)")
_FOUND = re.compile(r"(\S+),\S+ (\S+)")
#: iscsiadm(8): no objects found.
_NOTHING = ("No active sessions", "exit status 21", "No records found", "no records found")


class Login(msgspec.Struct, frozen=True):
    """Who logs in with CHAP."""

    username: str
    password: str


async def run(mode: str, *words: str) -> str:
    return await command.run(["iscsiadm", "--mode", mode, *words], patience=_PATIENCE, package=_PACKAGE)


async def session(target: str) -> int | None:
    """The number of the session with a target; None where there is none."""
    try:
        text = await run("session")
    except HostError as problem:
        if any(each in problem.message for each in _NOTHING):
            return None
        raise
    for number, _, name in _SESSION.findall(text):
        if name == target:
            return int(number)
    return None


async def targets(portal: str) -> list[str]:
    """What a server offers; the node database knows it afterwards."""
    return [name for _, name in _FOUND.findall(await run("discovery", "--type", "sendtargets", "--portal", portal))]


async def log_in(portal: str, target: str, login: Login | None, initiator: str) -> None:
    """Begin a session; ``initiator`` is the name that this host gives itself, "" for its usual one."""
    await targets(portal)
    which = ["--portal", portal, "--targetname", target]
    if initiator:
        which += ["--interface", await _interface(initiator)]
        await run("node", *which, "--op", "new")
    if login:
        for name, value in (("authmethod", "CHAP"), ("username", login.username), ("password", login.password)):
            await run("node", *which, "--op", "update", "--name", f"node.session.auth.{name}", "--value", value)
    await run("node", *which, "--login")


async def _interface(initiator: str) -> str:
    """An interface of the node database that introduces itself so, made where there is none."""
    name = "vmherd-" + re.sub(r"[^a-z0-9]+", "-", initiator.lower())
    if not await asyncio.to_thread((Path("/etc/iscsi/ifaces") / name).exists):
        await run("iface", "--interface", name, "--op", "new")
        await run("iface", "--interface", name, "--op", "update", "--name", "iface.initiatorname", "--value", initiator)
    return name


async def log_out(portal: str, target: str) -> None:
    await run("node", "--portal", portal, "--targetname", target, "--logout")


async def rescan(number: int) -> None:
    await run("session", "--sid", str(number), "--rescan")


def scsi_host(number: int) -> int:
    """The SCSI host behind a session.  Blocks; raises HostError where there is none."""
    for path in Path(f"/sys/class/iscsi_session/session{number}").resolve().parents:
        if match := re.fullmatch(r"host(\d+)", path.name):
            return int(match[1])
    raise HostError(f"iSCSI session {number} has no SCSI host", hint="check 'iscsiadm -m session -P 3'")
