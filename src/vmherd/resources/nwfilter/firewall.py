"""nftables of this host: the scripts of ``script``, and whether the kernel still has what they made.

A marker in the table says which state of the store the rules are of.  It is noted in the store before the kernel
gets it, so that after a sudden end the next one to look sees that both differ, and makes the rules anew.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from vmherd.errors import HostError
from vmherd.resources.nwfilter import script
from vmherd.resources.nwfilter.chains import CardRules
from vmherd.resources.nwfilter.tracking import Bridged, Marked, Tracker
from vmherd.util.files import write_atomically

_PATIENCE = 60.0
#: NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, of linux/netfilter/nf_tables.h; the answer is NFT_MSG_NEWGEN.
_GETGEN, _NEWGEN = 0x0A10, 0x0A0F
_NETFILTER = 12  # NETLINK_NETFILTER
_NFTA_GEN_ID = 1


class Firewall:
    """The tables called ``table``; scripts are left in ``folder``, where they can be looked at."""

    def __init__(self, table: str, folder: Path) -> None:
        self._table = table
        self._folder = folder
        self._seen: tuple[int, str] | None = None
        self._tracker: Tracker | None = None
        self._rejects = False

    async def tracker(self) -> Tracker:
        """How this kernel is asked about connections on a bridge."""
        if self._tracker is None:
            base = f"add table bridge {self._table}-probe\nadd chain bridge {self._table}-probe c\n"
            bridged = await self._takes(f"{base}add rule bridge {self._table}-probe c ct state new\n")
            self._rejects = bridged and await self._takes(f"{base}add rule bridge {self._table}-probe c reject\n")
            self._tracker = Bridged() if bridged else Marked()
        return self._tracker

    @property
    def rejects(self) -> bool:
        """Whether this kernel can answer what is refused on a bridge; known once ``tracker`` was asked."""
        return self._rejects

    async def _takes(self, words: str) -> bool:
        try:
            await self._run(words, "--check")
        except HostError:
            return False
        return True

    async def has(self, marker: str) -> bool:
        """Whether the kernel has the rules of this state.  Where nobody changed any, that costs a system call."""
        if not marker:
            return True
        generation = await asyncio.to_thread(_generation)
        if self._seen == (generation, marker):
            return True
        told = await _nft("list", "chain", "bridge", self._table, "marker", missing="")
        found = re.search(r'comment "(\w+)"', told)
        if found and found[1] == marker:
            self._seen = generation, marker
            return True
        return False

    async def change(self, cards: Mapping[str, CardRules | None], marker: str, *, marks: bool) -> None:
        """Give cards other rules, or none, at once; where it fails, nothing is changed."""
        await self._apply(script.change(self._table, cards, marker, marks=marks), marker)

    async def renew(self, cards: Mapping[str, CardRules], marker: str, *, marks: bool) -> None:
        """Make all rules anew in one step: what was there holds until then."""
        await self._apply(script.anew(self._table, cards, marker, marks=marks), marker)

    async def remove(self) -> None:
        await self._apply(script.remove(self._table), "")

    async def _apply(self, words: str, marker: str) -> None:
        self._seen = None
        before = await asyncio.to_thread(_generation)
        await self._run(words)
        after = await asyncio.to_thread(_generation)
        if after == before + 1:  # else somebody else changed something, too: look at it the next time
            self._seen = after, marker

    async def _run(self, words: str, *options: str) -> None:
        path = self._folder / "rules.nft"
        await asyncio.to_thread(write_atomically, path, words.encode())
        await _nft(*options, "--file", str(path))


async def _nft(*arguments: str, missing: str | None = None) -> str:
    """What nft answers.  ``missing`` is the answer where it asks for something that is not there."""
    try:
        child = await asyncio.create_subprocess_exec(
            "nft",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(os.environ) | {"LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise HostError("nft is not installed", hint="apt install nftables") from None
    try:
        async with asyncio.timeout(_PATIENCE):
            output, complaint = await child.communicate()
    except TimeoutError:
        raise HostError(f"nft did not end within {_PATIENCE:g} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        told = complaint.decode(errors="replace")
        if missing is not None and "No such file or directory" in told:
            return missing
        raise HostError(f"nftables refuses the rules: {_reason(told)}", hint=_HINT)
    return output.decode(errors="replace")


_HINT = "this needs root and a kernel with nf_tables for bridges"


def _reason(told: str) -> str:
    """The first complaint with the words it is about."""
    lines = told.strip().splitlines() or ["it does not say why"]
    error = re.sub(r"^\S+: Error: ", "", lines[0])
    return f"{error} in {lines[1].strip()[:300]!r}" if len(lines) > 1 else error


def _generation() -> int:
    """A number that is another one after every change of any rule in this network namespace."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as asking:
        asking.settimeout(5.0)
        body = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0)
        asking.sendto(struct.pack("=IHHII", 16 + len(body), _GETGEN, 1, 1, 0) + body, (0, 0))
        answer = asking.recv(4096)
    _, kind = struct.unpack_from("=IH", answer)
    place = 20
    while kind == _NEWGEN and place + 4 <= len(answer):
        length, attribute = struct.unpack_from("=HH", answer, place)
        if attribute & 0x3FFF == _NFTA_GEN_ID:
            return cast("int", struct.unpack_from("!I", answer, place + 4)[0])
        place += max(4, length + 3 & ~3)
    return -1
