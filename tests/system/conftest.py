"""Places for real guests, and proof that nothing is left of them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from namespaces import Host as OwnHost
from namespaces import missing as lacking
from namespaces import namespaces
from parts import processes, stop_all

from support.libvirtd import Libvirtd, missing, running
from vmherd.api.aio import Host, connect
from vmherd.guest.demo import DemoGuest, demo_guest


@pytest.fixture(scope="session")
def demo() -> DemoGuest:
    """The demo guest of this machine's cache; it is made of packages once."""
    if not shutil.which("apt-get"):
        pytest.skip("the demo guest is made of Debian packages, with apt-get")
    return asyncio.run(demo_guest())


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """A QEMU host of one's own."""
    return f"qemu:///embed?root={tmp_path}"


@pytest.fixture
async def host(uri: str, tmp_path: Path) -> AsyncIterator[Host]:
    async with await connect(uri) as host:
        try:
            yield host
        finally:
            await stop_all(host)
    async with asyncio.timeout(20):
        while processes(tmp_path):  # the keeper leaves by itself
            await asyncio.sleep(0.1)


@pytest.fixture
def own() -> Iterator[OwnHost]:
    """Network and mount namespaces of one's own: a host to do to what one likes."""
    if problem := lacking():
        pytest.skip(problem)
    with namespaces() as host:
        yield host


@pytest.fixture(scope="session")
def libvirtd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Libvirtd]:
    """Debian's libvirtd, the same one for all tests."""
    if problem := missing():
        pytest.skip(f"libvirtd {problem}")
    with running(tmp_path_factory.mktemp("libvirtd")) as daemon:
        yield daemon
