"""The test driver, through the public API: libvirt's semantics without a hypervisor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vmherd.api.aio import Host, connect
from vmherd.driver.types import PausedReason, RunningReason, ShutoffReason, State
from vmherd.errors import (
    AlreadyExists,
    ConnectFailed,
    DocumentError,
    DomainNotFound,
    HypervisorError,
    InvalidArgument,
    InvalidState,
    NotSupported,
    ReadOnly,
)
from vmherd.events import Lifecycle, LifecycleEvent

GUEST = """
<domain type='test'>
  <name>web</name>
  <uuid>11111111-2222-3333-4444-555555555555</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>2</vcpu>
  <os><type>hvm</type></os>
  {more}
</domain>
"""


def guest(more: str = "", *, name: str = "web") -> str:
    return GUEST.format(more=more).replace(">web<", f">{name}<")


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async with await connect("test:///default") as host:
        yield host


async def test_one_domain_runs_to_begin_with(host: Host) -> None:
    (info,) = await host.domains()
    assert (info.name, info.id, info.state) == ("test", 1, State.RUNNING)
    assert (info.max_memory, info.memory, info.vcpus) == (8 << 30, 2 << 30, 2)


async def test_connections_share_the_default_world_until_the_last_leaves() -> None:
    async with await connect("test:///default") as one:
        await one.define(guest())
        async with await connect("test:///default") as two:
            assert (await two.domain("web")).name == "web"
    async with await connect("test:///default") as three:
        with pytest.raises(DomainNotFound):
            await three.domain("web")


async def test_a_domain_is_found_by_name_uuid_and_id(host: Host) -> None:
    by_name = await host.domain("test")
    assert (await host.domain(by_name.uuid)).name == "test"
    assert (await host.domain(by_name.uuid.upper().replace("-", ""))).name == "test"
    assert (await host.domain("1")).name == "test"
    with pytest.raises(DomainNotFound, match="'nobody'"):
        await host.domain("nobody")


async def test_a_life_in_order(host: Host) -> None:
    domain = await host.define(guest())
    states = [await domain.state()]
    await domain.start()
    states.append(await domain.state())
    await domain.suspend()
    states.append(await domain.state())
    await domain.resume()
    states.append(await domain.state())
    await domain.shutdown()
    states.append(await domain.state())
    assert states == [State.SHUTOFF, State.RUNNING, State.PAUSED, State.RUNNING, State.SHUTOFF]
    assert (await domain.info()).reason == ShutoffReason.SHUTDOWN


async def test_reasons_say_why(host: Host) -> None:
    domain = await host.define(guest())
    await domain.start(paused=True)
    assert (await domain.info()).reason == PausedReason.USER
    await domain.resume()
    assert (await domain.info()).reason == RunningReason.UNPAUSED
    await domain.poweroff()
    assert (await domain.info()).reason == ShutoffReason.DESTROYED


async def test_events_tell_the_same_story(host: Host) -> None:
    told: list[tuple[Lifecycle, str]] = []
    listening = asyncio.Event()

    async def listen() -> None:
        subscription = await host._driver.events()
        listening.set()
        async with subscription:
            async for event in subscription:
                assert isinstance(event, LifecycleEvent)
                told.append((event.event, event.detail_name))
                if event.event is Lifecycle.UNDEFINED:
                    return

    listener = asyncio.create_task(listen())
    await listening.wait()
    domain = await host.define(guest())
    await host.define(guest("<description>again</description>"))
    await domain.start()
    await domain.suspend()
    await domain.resume()
    await domain.poweroff()
    await domain.undefine()
    await asyncio.wait_for(listener, 5)
    assert told == [
        (Lifecycle.DEFINED, "added"),
        (Lifecycle.DEFINED, "updated"),
        (Lifecycle.STARTED, "booted"),
        (Lifecycle.SUSPENDED, "paused"),
        (Lifecycle.RESUMED, "unpaused"),
        (Lifecycle.STOPPED, "destroyed"),
        (Lifecycle.UNDEFINED, "removed"),
    ]


async def test_a_transient_domain_is_gone_when_it_stops(host: Host) -> None:
    domain = await host.create(guest())
    assert not (await domain.info()).persistent
    with pytest.raises(InvalidState, match="transient"):
        await domain.undefine()
    with pytest.raises(InvalidState):
        await domain.set_autostart(True)
    await domain.poweroff()
    with pytest.raises(DomainNotFound):
        await domain.info()


async def test_a_running_domain_loses_its_definition_and_runs_on(host: Host) -> None:
    domain = await host.domain("test")
    await domain.undefine()
    info = await domain.info()
    assert (info.state, info.persistent) == (State.RUNNING, False)


async def test_defining_a_running_domain_changes_its_next_start_only(host: Host) -> None:
    domain = await host.define(guest())
    await domain.start()
    await host.define(guest().replace(">64<", ">128<"))
    assert "65536" in await domain.xml()
    assert "131072" in await domain.xml(inactive=True)
    await domain.poweroff()
    assert (await domain.info()).max_memory == 128 << 20


@pytest.mark.parametrize(
    ("name", "uuid"),
    [("web", "99999999-2222-3333-4444-555555555555"), ("other", "11111111-2222-3333-4444-555555555555")],
)
async def test_a_taken_name_or_uuid_is_refused(host: Host, name: str, uuid: str) -> None:
    await host.define(guest())
    clash = guest(name=name).replace("11111111-2222-3333-4444-555555555555", uuid)
    with pytest.raises(AlreadyExists) as caught:
        await host.define(clash)
    assert caught.value.hint
    with pytest.raises(AlreadyExists):
        await host.create(clash)


async def test_what_the_state_forbids_is_refused(host: Host) -> None:
    domain = await host.define(guest())
    for operation in (domain.shutdown, domain.reboot, domain.reset, domain.poweroff, domain.suspend, domain.resume):
        with pytest.raises(InvalidState, match="not running"):
            await operation()
    await domain.start()
    with pytest.raises(InvalidState, match="already running"):
        await domain.start()
    with pytest.raises(InvalidState, match="not paused"):
        await domain.resume()
    await domain.suspend()
    with pytest.raises(InvalidState, match="paused"):
        await domain.reset()


async def test_the_document_says_what_follows_an_end(host: Host) -> None:
    domain = await host.define(guest("<on_poweroff>restart</on_poweroff><on_reboot>destroy</on_reboot>"))
    await domain.start()
    await domain.shutdown()
    assert await domain.state() is State.RUNNING
    await domain.reboot()
    assert await domain.state() is State.SHUTOFF


async def test_read_only_connections_change_nothing(host: Host) -> None:
    async with await connect("test:///default", readonly=True) as watcher:
        domain = await watcher.domain("test")
        assert "<name>test</name>" in await domain.xml()
        for change in (
            watcher.define(guest()),
            watcher.create(guest()),
            domain.poweroff(),
            domain.suspend(),
            domain.undefine(),
            domain.set_autostart(True),
            domain.xml(secure=True),
        ):
            with pytest.raises(ReadOnly):
                await change
    assert await (await host.domain("test")).state() is State.RUNNING


async def test_passwords_of_screens_are_shown_to_those_only_who_ask(host: Host) -> None:
    screen = "<graphics type='vnc' port='5901' passwd='s3cr3t'/>"
    domain = await host.define(guest(f"<devices>{screen}</devices>"))
    for _ in range(2):
        assert "s3cr3t" not in await domain.xml()
        assert "s3cr3t" in await domain.xml(secure=True)
    await domain.start()
    assert "s3cr3t" not in await domain.xml()


async def test_what_the_driver_lacks_is_named(host: Host) -> None:
    domain = await host.domain("test")
    with pytest.raises(NotSupported, match="test driver does not support domain_console"):
        await domain.open_console()


@pytest.mark.parametrize("uri", ["nonsense", "://", "test", "http//x"])
async def test_a_bad_uri_is_an_invalid_argument(uri: str) -> None:
    with pytest.raises(InvalidArgument):
        await connect(uri)


async def test_an_unknown_scheme_lists_the_known_ones() -> None:
    with pytest.raises(ConnectFailed) as caught:
        await connect("vaporware:///system")
    assert "qemu" in caught.value.hint


async def test_another_domain_type_is_refused_with_its_place(host: Host) -> None:
    with pytest.raises(DocumentError, match="domain/@type") as caught:
        await host.define(guest().replace("type='test'", "type='qemu'"))
    assert caught.value.hint


async def test_waiting_for_a_stop_ends_with_it(host: Host) -> None:
    domain = await host.define(guest())
    await domain.wait_stopped(1)
    await domain.start()
    waiting = asyncio.create_task(domain.wait_stopped(5))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await domain.poweroff()
    await waiting


NODE = """
<node>
  <domain file='other.xml'/>
  <domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
    <name>off</name><memory>8192</memory><os><type>hvm</type></os>
    <test:runstate>5</test:runstate>
  </domain>
  <domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
    <name>passing</name><memory>8192</memory><os><type>hvm</type></os>
    <test:transient/>
  </domain>
</node>
"""


async def test_a_file_makes_a_world(tmp_path: Path) -> None:
    (tmp_path / "node.xml").write_text(NODE)
    (tmp_path / "other.xml").write_text(guest())
    async with await connect(f"test://{tmp_path}/node.xml") as host:
        found = {info.name: (info.state, info.persistent) for info in await host.domains()}
    assert found == {
        "web": (State.RUNNING, True),
        "off": (State.SHUTOFF, True),
        "passing": (State.RUNNING, False),
    }


async def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ConnectFailed, match="No such file"):
        await connect(f"test://{tmp_path}/nowhere.xml")


async def test_a_file_that_is_no_node_is_refused(tmp_path: Path) -> None:
    (tmp_path / "web.xml").write_text(guest())
    with pytest.raises(DocumentError, match="<node>"):
        await connect(f"test://{tmp_path}/web.xml")


async def test_a_file_can_be_opened_read_only(tmp_path: Path) -> None:
    node = tmp_path / "node.xml"
    node.write_text(f"<node>{guest()}</node>")
    async with await connect(f"test://{node}", readonly=True) as host:
        assert [info.name for info in await host.domains()] == ["web"]
        with pytest.raises(ReadOnly):
            await (await host.domain("web")).poweroff()


async def test_a_closed_connection_says_so_and_may_be_closed_again() -> None:
    host = await connect("test:///default")
    async with await connect("test:///default") as other:
        await host.close()
        await host.close()
        assert [info.name for info in await other.domains()] == ["test"]
    with pytest.raises(InvalidState, match="closed"):
        await other.domains()


async def test_a_guest_is_saved_to_a_file_or_for_its_next_start(host: Host, tmp_path: Path) -> None:
    domain = await host.domain("test")
    await domain.save(tmp_path / "image")
    assert (tmp_path / "image").read_bytes().startswith(b"TestGuestMagic")
    assert (await domain.info()).reason == ShutoffReason.SAVED
    changed = (await host.saved_xml(tmp_path / "image")).replace("<name>", "<title>T</title><name>")
    await host.define_saved(tmp_path / "image", changed)
    restored = await host.restore(tmp_path / "image", running=False)
    info = await restored.info()
    assert (info.title, info.state, info.managed_save) == ("T", State.PAUSED, False)
    with pytest.raises(InvalidState):
        await host.restore(tmp_path / "image")
    await domain.managed_save()
    assert (await domain.info()).managed_save
    with pytest.raises(InvalidState, match="managed save image"):
        await domain.undefine()
    await domain.start()
    info = await domain.info()
    assert (info.reason, info.managed_save) == (RunningReason.RESTORED, False)
    await domain.dump(tmp_path / "core", crash=True)
    assert (await domain.info()).reason == ShutoffReason.CRASHED
    with pytest.raises(HypervisorError, match="mismatched header magic"):
        await host.restore(__file__)


async def test_a_guest_shows_a_blank_screen_and_takes_keys(host: Host) -> None:
    screen = (await host.domain("test")).screen
    picture = await screen.picture()
    assert (picture.mime, picture.data[:4]) == ("image/png", b"\x89PNG")
    await screen.press(["KEY_A"])
    await screen.interrupt()
