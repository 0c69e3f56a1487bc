"""Pools, volumes and secrets over every way: the drivers themselves, a vmherd's wire, a libvirtd's wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from daemons import RunningDaemon

from vmherd.api.aio import Host, connect
from vmherd.driver.secret import SecretDriver
from vmherd.driver.storage import PoolState
from vmherd.errors import InvalidState, NotFound, PoolNotFound, ReadOnly, VmherdError
from vmherd.events import ResourceEvent, SecretEvent, SecretLifecycle, SecretValueEvent

POOL = "<pool type='dir'><name>{}</name><target><path>{}</path></target></pool>"
VOLUME = "<volume><name>{}</name><capacity unit='MiB'>{}</capacity><target><format type='{}'/></target></volume>"
SECRET = "<secret private='{}'><usage type='volume'><volume>{}</volume></usage></secret>"


@pytest.fixture(params=["direct", "vmherd", "libvirtd"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The storage of a host, three ways."""
    own = f"qemu:///embed?root={tmp_path / 'root'}"
    if request.param == "direct":
        yield own
    elif request.param == "vmherd":
        with RunningDaemon(tmp_path, uri=own) as daemon:
            yield f"qemu+unix:///system?socket={daemon.run / 'libvirt-sock'}"
    else:
        yield request.getfixturevalue("libvirtd").uri()


@pytest.fixture
async def host(uri: str) -> AsyncIterator[Host]:
    async with await connect(uri) as host:
        yield host
        for info in await host.pools.list():
            pool = await host.pools.find(info.uuid)
            if info.active:
                await pool.stop()
            if info.persistent:
                await pool.undefine()
        for secret in await host.secrets.list():
            await (await host.secrets.find(secret.uuid)).undefine()


async def test_a_pool_lives(host: Host, tmp_path: Path) -> None:
    pool = await host.pools.define(POOL.format("images", tmp_path / "images"))
    assert (await pool.info()).state is PoolState.INACTIVE
    with pytest.raises(VmherdError):
        await pool.start()  # there is no such folder yet
    await pool.build()
    await pool.start()
    (info,) = await host.pools.list()
    assert (info.name, info.type, info.state, info.persistent) == ("images", "dir", PoolState.RUNNING, True)
    assert info.path == str(tmp_path / "images")
    assert info.capacity >= info.available > 0
    await pool.set_autostart(True)
    assert (await (await host.pools.find(pool.uuid)).info()).autostart
    assert f"<path>{tmp_path}/images</path>" in await pool.xml()
    with pytest.raises(InvalidState):
        await pool.start()
    await pool.stop()
    await pool.delete()
    assert not (tmp_path / "images").exists()
    await pool.undefine()
    with pytest.raises(PoolNotFound):
        await host.pools.find("images")


async def test_volumes_are_made_copied_resized_wiped_and_removed(host: Host, tmp_path: Path) -> None:
    pool = await host.pools.create(POOL.format("scratch", tmp_path / "scratch"), build=True)
    assert not (await pool.info()).persistent
    disk = await pool.create_volume(VOLUME.format("disk", 4, "qcow2"))
    info = await disk.info()
    assert (info.pool, info.pool_uuid, info.name) == ("scratch", pool.uuid, "disk")
    assert (info.format, info.capacity, info.path) == ("qcow2", 4 << 20, str(tmp_path / "scratch/disk"))
    assert "<format type='qcow2'/>" in await disk.xml()
    with pytest.raises(VmherdError, match="exist"):
        await pool.create_volume(VOLUME.format("disk", 4, "raw"))
    raw = await pool.create_volume(VOLUME.format("raw", 1, "raw"))
    Path(raw.path).write_bytes(b"secret words" + bytes((1 << 20) - 12))
    copy = await raw.clone("copy")
    assert Path(copy.path).read_bytes()[:12] == b"secret words"
    await raw.download(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == Path(raw.path).read_bytes()
    (tmp_path / "other").write_bytes(b"other words")
    told: list[tuple[int, int]] = []
    await raw.upload(tmp_path / "other", offset=12, told=lambda done, total: told.append((done, total)))
    assert Path(raw.path).read_bytes()[:23] == b"secret wordsother words"
    assert told[-1] == (11, 11)
    await raw.wipe()
    assert not any(Path(raw.path).read_bytes())
    await raw.resize(2 << 20)
    assert (await raw.info()).capacity == 2 << 20
    assert [info.name for info in await pool.volumes()] == ["copy", "disk", "raw"]
    assert (await host.pools.volume_by_path(copy.path)).name == "copy"
    (tmp_path / "scratch" / "stray").write_bytes(bytes(512))
    await pool.refresh()
    assert (await (await pool.volume("stray")).info()).physical == 512
    for volume in (disk, raw, copy):
        await volume.delete()
    with pytest.raises(NotFound):
        await pool.volume("disk")
    with pytest.raises(NotFound):
        await host.pools.volume_by_path("/nowhere")


async def test_secrets_are_kept_and_told_as_they_may_be(host: Host) -> None:
    heard: list[ResourceEvent] = []
    async with await (await host._driver.resource(SecretDriver)).events() as subscription:
        secret = await host.secrets.define(SECRET.format("no", "/a"))
        with pytest.raises(NotFound):
            await secret.value()
        await secret.set_value(b"open sesame")
        assert await secret.value() == b"open sesame"
        assert (await host.secrets.by_usage(1, "/a")).uuid == secret.uuid
        private = await host.secrets.define(SECRET.format("yes", "/b"))
        await private.set_value(b"x")
        with pytest.raises(VmherdError, match="private"):
            await private.value()
        infos = {info.usage_id: info.private for info in await host.secrets.list()}
        assert infos == {"/a": False, "/b": True}
        with pytest.raises(VmherdError, match="already defined"):
            await host.secrets.define(SECRET.format("no", "/a"))
        await secret.undefine()
        async with asyncio.timeout(20):
            while len(heard) < 5:
                heard.append(await anext(subscription))
    told = [
        (type(event), event.usage_id, getattr(event, "event", None))
        for event in heard
        if isinstance(event, SecretEvent | SecretValueEvent)
    ]
    assert told == [
        (SecretEvent, "/a", SecretLifecycle.DEFINED),
        (SecretValueEvent, "/a", None),
        (SecretEvent, "/b", SecretLifecycle.DEFINED),
        (SecretValueEvent, "/b", None),
        (SecretEvent, "/a", SecretLifecycle.UNDEFINED),
    ]


async def test_a_readonly_connection_looks_only(uri: str, host: Host, tmp_path: Path) -> None:
    await host.pools.create(POOL.format("seen", tmp_path), build=True)
    secret = await host.secrets.define(SECRET.format("no", "/a"))
    async with await connect(uri, readonly=True) as looking:
        pool, seen = await looking.pools.find("seen"), await looking.secrets.find(secret.uuid)
        for refused in (pool.stop(), pool.create_volume(VOLUME.format("x", 1, "raw")), seen.value()):
            with pytest.raises(ReadOnly):
                await refused
