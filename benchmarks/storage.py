"""Pools and volumes of ``vmherd daemon`` beside libvirtd, both asked by virsh, and copies beside cp(1).  Needs root.

Each daemon has a folder with 5,000 images and one with a file of 1 GiB, on the same file system; all measures are taken
in turn, and the middle of the rounds counts.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.figure import Figure, failed
from benchmarks.servers import Libvirtd, Server, Vmherd, running
from vmherd.errors import HostError

VOLUMES = 5000
ROUNDS = 3
_GIB = 1 << 30
_PATIENCE = 300


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as root:
        servers: list[Server] = []
        for kind, name in ((Libvirtd, "theirs"), (Vmherd, "ours")):
            (Path(root) / name).mkdir()
            servers.append(kind(Path(root) / name))
        with running(*servers):
            for server in servers:
                _prepare(server)
            figures = [_figure(what, ask, servers, target) for what, ask, target in CASES]
            return [*figures, _beside_cp(servers[1]), _waiting(servers[1])]


def _virsh(server: Server, *words: str) -> float:
    """The seconds a command takes; raises HostError with its complaint."""
    began = time.perf_counter()
    done = subprocess.run(["virsh", "-c", server.uri, *words], capture_output=True, text=True, timeout=_PATIENCE)
    if done.returncode:
        raise HostError(f"{server.name}: virsh {' '.join(words)}: {done.stderr.strip()}")
    return time.perf_counter() - began


def _prepare(server: Server) -> None:
    many, few = server.root / "many", server.root / "few"
    many.mkdir()
    few.mkdir()
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", server.root / "one", "1G"], check=True)
    image = (server.root / "one").read_bytes()
    for number in range(VOLUMES):
        (many / f"volume-{number:05}.qcow2").write_bytes(image[:66000])
    with (few / "gib").open("wb") as file:
        for _ in range(16):
            file.write(os.urandom(_GIB // 16))
    with (server.root / "sparse").open("wb") as file:
        file.write(image)
        file.truncate(10 * _GIB)
    for _ in range(100):
        if subprocess.run(["virsh", "-c", server.uri, "version"], capture_output=True).returncode == 0:
            break
        time.sleep(0.1)
    for name in ("many", "few"):
        _virsh(server, "pool-create-as", name, "dir", "--target", str(server.root / name))
    _virsh(server, "vol-create-as", "few", "upload", "10G", "--allocation", "0")


def _clone(server: Server) -> float:
    subprocess.run(["sync", "-f", str(server.root)], check=True)
    seconds = _virsh(server, "vol-clone", "gib", "copy", "--pool", "few")
    _virsh(server, "vol-delete", "copy", "--pool", "few")
    return seconds


def _upload(server: Server) -> float:
    return _virsh(server, "vol-upload", "upload", str(server.root / "sparse"), "--pool", "few", "--sparse")


def _upload_whole(server: Server) -> float:
    """Until it is on the disk, for which vmherd waits by itself."""
    subprocess.run(["sync", "-f", str(server.root)], check=True)
    seconds = _virsh(server, "vol-upload", "upload", str(server.root / "few/gib"), "--pool", "few")
    began = time.perf_counter()
    subprocess.run(["sync", str(server.root / "few/upload")], check=True)
    return seconds + time.perf_counter() - began


def _download(server: Server) -> float:
    return _virsh(server, "vol-download", "gib", str(server.root / "back"), "--pool", "few")


#: What is measured, how, and the most seconds it may take, None where libvirtd's count.
CASES: tuple[tuple[str, Callable[[Server], float], float | None], ...] = (
    (f"pool-refresh of {VOLUMES} volumes", lambda server: _virsh(server, "pool-refresh", "many"), 2.0),
    (f"vol-list of {VOLUMES} volumes", lambda server: _virsh(server, "vol-list", "many"), None),
    (f"vol-list --details of {VOLUMES} volumes", lambda server: _virsh(server, "vol-list", "many", "--details"), None),
    ("vol-clone of 1 GiB of data", _clone, None),
    ("vol-upload --sparse, 10 GiB almost empty", _upload, None),
    ("vol-upload of 1 GiB of data, and sync", _upload_whole, None),
    ("vol-download of 1 GiB of data", _download, None),
)


def _figure(what: str, ask: Callable[[Server], float], servers: list[Server], target: float | None) -> Figure:
    found: list[list[float]] = [[] for _ in servers]
    try:
        for _ in range(ROUNDS):
            for server, values in zip(servers, found, strict=True):
                values.append(ask(server))
    except (HostError, subprocess.TimeoutExpired) as problem:
        return failed(what, str(problem))
    theirs, ours = (median(values) for values in found)
    most = theirs if target is None else target
    return Figure(
        what=what,
        value=ours * 1000,
        unit="ms",
        ratio=ours / theirs,
        against=f"libvirtd: {theirs * 1000:.0f} ms",
        target=f"<= {target * 1000:.0f} ms" if target else "as fast",
        reached=ours <= most * 1.1,
    )


def _beside_cp(server: Server) -> Figure:
    """A copy, which is on the disk when it is told, beside one by cp(1) that is synced."""
    source, copy = server.root / "few/gib", server.root / "copy"
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_clone(server))
        began = time.perf_counter()
        subprocess.run(["cp", "--reflink=auto", source, copy], check=True)
        subprocess.run(["sync", copy], check=True)
        theirs.append(time.perf_counter() - began)
        copy.unlink()
    return Figure(
        what="vol-clone of 1 GiB of data",
        value=median(ours) * 1000,
        unit="ms",
        ratio=median(ours) / median(theirs),
        against=f"cp --reflink=auto, sync: {median(theirs) * 1000:.0f} ms",
        target="<= 1.1 times",
        reached=median(ours) <= median(theirs) * 1.1,
    )


def _waiting(server: Server) -> Figure:
    """The longest that another call takes while a pool with many volumes is looked at again and again."""
    over = threading.Event()

    def refresh() -> None:
        while not over.is_set():
            _virsh(server, "pool-refresh", "many")

    _virsh(server, "list")
    alone = max(_virsh(server, "list") for _ in range(10))
    worker = threading.Thread(target=refresh)
    worker.start()
    try:
        longest = max(_virsh(server, "list") for _ in range(30))
    finally:
        over.set()
        worker.join()
    return Figure(
        what=f"longest virsh list during refreshes of {VOLUMES} volumes",
        value=longest * 1000,
        unit="ms",
        ratio=longest / alone,
        against=f"with no refresh: {alone * 1000:.0f} ms",
        target="<= 200 ms",
        reached=longest <= 0.2,
    )
