"""Metadata, names and the inside of guests over every way: the driver itself, a vmherd's wire, a libvirtd's wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from parts import Ear

from vmherd.api.aio import Host, connect
from vmherd.driver.agent import AddressSource
from vmherd.driver.control import ControlState
from vmherd.driver.types import Scope
from vmherd.errors import InvalidArgument, InvalidState, MetadataNotFound, NotSupported, VmherdError
from vmherd.events import Lifecycle, MetadataChangeEvent, MetadataType
from wire import serving

ELEMENT, TITLE = MetadataType.ELEMENT, MetadataType.TITLE
URI = "http://example.org/notes"
LIVE, CONFIG = Scope(live=True), Scope(config=True)
GUEST = """
<domain type='test'>
  <name>shop</name>
  <uuid>11111111-2222-3333-4444-000000000088</uuid>
  <memory unit='MiB'>64</memory>
  <os><type arch='i686'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><source file='/x'/><target dev='vda' bus='virtio'/></disk>
  </devices>
</domain>
"""


@pytest.fixture(params=["direct", "vmherd", "libvirtd"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "direct":
        yield "test:///default"
    elif request.param == "vmherd":
        with serving(tmp_path / "sock") as service:
            yield f"test+unix:///default?socket={service.path}"
            assert not service.mistakes
    else:
        yield request.getfixturevalue("libvirtd").uri("test:///default")


@pytest.fixture
async def host(uri: str) -> AsyncIterator[Host]:
    async with await connect(uri) as host:
        yield host
        for info in await host.domains():
            if info.name != "test":
                domain = await host.domain(info.name)
                if info.active:
                    await domain.poweroff()
                await domain.undefine()


async def test_metadata_is_kept_told_and_refused_alike(host: Host) -> None:
    domain = await host.define(GUEST)
    control = domain.control
    async with Ear(host) as ear:
        await control.set_metadata(ELEMENT, "<note n='1'><line/></note>", key="n", uri=URI)
        told = await ear.wait(MetadataChangeEvent)
        assert (told.type, told.uri) == (ELEMENT, URI)
    assert await control.metadata(ELEMENT, uri=URI) == '<note n="1">\n  <line/>\n</note>'
    assert f'<n:note xmlns:n="{URI}" n="1">' in await domain.xml()
    await domain.start()
    await control.set_metadata(TITLE, "now", scope=LIVE)
    assert await control.metadata(TITLE) == "now"
    for refused in (
        control.metadata(TITLE, scope=CONFIG),
        control.metadata(ELEMENT, uri="urn:nobody"),
    ):
        with pytest.raises(MetadataNotFound):
            await refused
    for wrong in (
        control.set_metadata(TITLE, "two\nlines"),
        control.set_metadata(TITLE, "x", key="n"),
        control.set_metadata(ELEMENT, "<a/>", uri=URI),
        control.set_metadata(ELEMENT, "<a/>", key="n"),
    ):
        with pytest.raises(InvalidArgument):
            await wrong
    with pytest.raises(VmherdError):
        await control.set_metadata(ELEMENT, "<a", key="n", uri=URI)
    await control.set_metadata(ELEMENT, None, uri=URI)
    with pytest.raises(MetadataNotFound):
        await control.metadata(ELEMENT, uri=URI)


async def test_a_new_name_is_told_alike(host: Host) -> None:
    domain = await host.define(GUEST)
    async with Ear(host) as ear:
        renamed = await domain.rename("new")
        await ear.hear(Lifecycle.DEFINED)
    assert ear.told() == [(Lifecycle.UNDEFINED, "renamed"), (Lifecycle.DEFINED, "renamed")]
    assert (renamed.name, renamed.uuid) == ("new", domain.uuid)
    with pytest.raises(InvalidState, match="already exists"):
        await renamed.rename("test")
    await renamed.start()
    with pytest.raises(InvalidState, match="active"):
        await renamed.rename("other")
    await renamed.poweroff()


async def test_the_inside_is_told_alike(host: Host) -> None:
    domain = await host.define(GUEST)
    with pytest.raises(InvalidState, match="not running"):
        await domain.agent.filesystems()
    await domain.start()
    assert [(each.mountpoint, each.name, each.type, each.disks) for each in await domain.agent.filesystems()] == [
        ("/", "vda1", "ext4", ("vda",)),
        ("/boot", "vda2", "ext4", ("vda",)),
    ]
    assert await domain.agent.freeze(["/"]) == 1
    assert await domain.agent.freeze() == 1
    assert await domain.agent.thaw() == 2
    assert await domain.control.hostname() == "shophost"
    assert await domain.control.addresses(AddressSource.AGENT) == []
    assert await domain.agent.time() == 627319920 * 10**9
    await domain.agent.set_password("root", "secret")
    assert (await domain.control.info()).state is ControlState.OK
    for refused in (
        domain.agent.info(),
        domain.agent.vcpus(),
        domain.agent.ssh_keys("root"),
        domain.control.job_stats(),
        domain.control.wake_up(),
        domain.control.monitor_command('{"execute":"query-status"}'),
    ):
        with pytest.raises(NotSupported):
            await refused
