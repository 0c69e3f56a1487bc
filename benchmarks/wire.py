"""``vmherd daemon`` beside libvirtd, both asked by libvirt's own client library: calls, lists, documents, starts.

Each daemon has GUESTS defined guests of twelve devices; all measures are taken in turn, so that a disturbance hits
both alike, and the middle of the rounds counts.  Guests run without KVM.  Needs root.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import msgspec

from benchmarks import machines, start
from benchmarks.figure import Figure, failed
from benchmarks.servers import Libvirtd, Server, Vmherd, running
from vmherd.errors import HostError

GUESTS = 1000
ROUNDS = 5
#: Seconds after which a client is given up.
_PATIENCE = 120

_DATA = Path(__file__).parent / "data"


class Case(msgspec.Struct, frozen=True):
    """What is measured: ``ask`` gives the value for one server; ``more`` is better, or less.

    A ``target`` of None is to be twice what the other one reaches.
    """

    what: str
    unit: str
    target: float | None
    ask: Callable[[Client, Server], float]
    more: bool = False


class Client:
    """The program that calls, and the documents it gives."""

    def __init__(self, root: Path) -> None:
        self._program = root / "wire"
        self.guest = root / "guest.xml"
        self.minimal = root / "minimal.xml"
        text = machines.DOCUMENT.read_text().replace(">web1<", ">@NAME@<")
        self.guest.write_text(text.replace("6a3d2f54-97a1-4ab4-8ac5-2f8f3c1c55a1", "@UUID@"))
        self.minimal.write_text(start.GUEST.replace("<name>bench</name>", "<name>@NAME@</name><uuid>@UUID@</uuid>"))
        source = str(_DATA / "wire.c")
        subprocess.run(["gcc", "-O2", "-o", self._program, source, "-lvirt", "-lpthread"], check=True)

    def ask(self, server: Server, *words: object) -> float:
        """What the program finds; raises HostError with its complaint."""
        argv = [str(self._program), server.uri, *map(str, words)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_PATIENCE)
        if done.returncode:
            raise HostError(f"{server.name}: {words[0]}: {done.stderr.strip()}; its log: {server.last_words()}")
        return float(done.stdout)


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as root:
        servers = [made(Libvirtd, Path(root) / "theirs"), made(Vmherd, Path(root) / "ours")]
        client = Client(Path(root))
        with running(*servers):
            for server in servers:
                client.ask(server, "first")
                client.ask(server, "fill", 0, GUESTS, client.guest)
            return [figure(case, client, servers) for case in CASES]


def made(kind: type[Server], root: Path) -> Server:
    root.mkdir()
    return kind(root)


def figure(case: Case, client: Client, servers: list[Server]) -> Figure:
    """The middle of some rounds, with the first one not counted: there caches are filled."""
    found: list[list[float]] = [[] for _ in servers]
    try:
        for _ in range(ROUNDS + 1):
            for server, values in zip(servers, found, strict=True):
                values.append(case.ask(client, server))
    except HostError as problem:
        return failed(case.what, str(problem))
    theirs, ours = (median(values[1:]) for values in found)
    target = 2 * theirs if case.target is None else case.target
    return Figure(
        what=case.what,
        value=ours,
        unit=case.unit,
        ratio=theirs / ours if case.more else ours / theirs,
        against=f"{servers[0].name}: {theirs:.{0 if theirs >= 100 else 1}f} {case.unit}",
        target="twice" if case.target is None else f"{'>=' if case.more else '<='} {target:g} {case.unit}",
        reached=ours >= target if case.more else ours <= target,
    )


def _define(client: Client, server: Server) -> float:
    rate = client.ask(server, "fill", GUESTS, GUESTS + 300, client.guest)
    client.ask(server, "empty", GUESTS, GUESTS + 300)
    return rate


def _restart(client: Client, server: Server) -> float:
    server.stop()
    began = server.start()
    return (client.ask(server, "first") - began) * 1000


def _virsh_list(_: Client, server: Server) -> float:
    began = time.perf_counter()
    subprocess.run(["virsh", "-c", server.uri, "list", "--all"], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


def _milliseconds(*words: object) -> Callable[[Client, Server], float]:
    return lambda client, server: client.ask(server, *words) * 1000


def _rate(*words: object) -> Callable[[Client, Server], float]:
    return lambda client, server: client.ask(server, *words)


CASES = (
    Case("wire: getLibVersion, one client", "/s", 30000, _rate("calls", 20000, 1), more=True),
    Case("wire: getLibVersion, 8 clients at once", "/s", None, _rate("calls", 5000, 8), more=True),
    Case("wire: defineXML, 12 devices", "/s", 1000, _define, more=True),
    Case(f"wire: listAllDomains of {GUESTS}", "ms", 3, _milliseconds("list", 30)),
    Case("wire: XMLDesc", "/s", 12000, _rate("documents", 3 * GUESTS), more=True),
    Case(f"wire: getAllDomainStats of {GUESTS} idle", "ms", 15, _milliseconds("stats", 10)),
    Case(f"virsh list --all of {GUESTS}", "ms", 120, _virsh_list),
    Case("wire: start of a minimal guest", "ms", 110, lambda c, s: c.ask(s, "start", 3, c.minimal) * 1000),
    Case("wire: 10 guests started together", "ms", 900, lambda c, s: c.ask(s, "together", 10, c.minimal) * 1000),
    Case(f"memory of the daemon with {GUESTS}", "MB", 90, lambda _, server: server.resident()),
    Case(f"daemon start to first answer with {GUESTS}", "ms", 400, _restart),
)
