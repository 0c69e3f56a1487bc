"""Networks of ``vmherd daemon`` and of libvirtd: defined and started, then stopped, each with its dnsmasq.

Both are asked by the same client.  Needs root.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from benchmarks.figure import Figure
from benchmarks.servers import Libvirtd, Server, VmherdApart, running
from benchmarks.wire import Client, made

NETWORKS = 100
ROUNDS = 3
#: What of libvirtd's time is enough for ours.
_SHARE = 0.5


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as root:
        servers = [made(Libvirtd, Path(root) / "theirs"), made(VmherdApart, Path(root) / "ours")]
        client = Client(Path(root))
        found: dict[str, list[list[float]]] = {"networks": [[], []], "no-networks": [[], []]}
        with running(*servers):
            for server in servers:
                client.ask(server, "first")
            for _ in range(ROUNDS):
                for place, server in enumerate(servers):
                    for word, values in found.items():
                        values[place].append(client.ask(server, word, NETWORKS))
        return [
            _figure("defined and started", servers, found["networks"], share=_SHARE),
            _figure("stopped and undefined", servers, found["no-networks"]),
        ]


def _figure(what: str, servers: list[Server], values: list[list[float]], *, share: float | None = None) -> Figure:
    theirs, ours = (median(each) * 1000 for each in values)
    return Figure(
        what=f"{NETWORKS} networks {what}",
        value=ours,
        unit="ms",
        ratio=ours / theirs,
        against=f"{servers[0].name}: {theirs:.0f} ms",
        target="" if share is None else f"<= {share:g} of theirs",
        reached=None if share is None else ours <= share * theirs,
    )
