"""The agent in a real guest, asked by virsh through the daemon; one guest for everything."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from daemons import RunningDaemon
from inside import with_agent
from parts import Ear, until

from vmherd.api.aio import Domain, Host
from vmherd.conf.domain import render
from vmherd.driver.types import State
from vmherd.events import AgentLifecycleEvent, AgentState, Lifecycle, PmsuspendEvent, PmwakeupEvent, RtcChangeEvent
from vmherd.guest.demo import DemoGuest
from vmherd.guest.session import Session
from vmherd.guest.spec import GuestSpec, best_platform

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.packages,
    pytest.mark.skipif(not shutil.which("virsh"), reason="asks with virsh, of the package libvirt-clients"),
]

CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
START = "qemu-ga -m virtio-serial -p /dev/vport*p1 -t /run -d"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG0 somebody"
#: Seconds for a boot in software on a busy machine.
BOOT = 90.0

Ask = Callable[..., Awaitable[str]]


async def test_everything_the_agent_in_a_guest_can_do(host: Host, uri: str, demo: DemoGuest, tmp_path: Path) -> None:
    demo = await with_agent(demo, tmp_path)
    spec = GuestSpec(
        name="demo", memory=160 << 20, cpus=2, kernel=demo.kernel, initrd=demo.initrd, cmdline=demo.cmdline
    )
    xml = render(spec.document(best_platform(await host.capabilities())))
    domain = await host.define(xml.replace("</devices>", f"{CHANNEL}</devices>"))
    (tmp_path / "key").write_text(KEY)
    with RunningDaemon(tmp_path, uri=uri) as daemon:

        async def ask(*words: str) -> str:
            return await asyncio.to_thread(daemon.virsh, *words)

        assert "domain is not running" in await ask("domtime", "demo")
        await domain.start(paused=True)
        console = await domain.open_console()
        async with Ear(host) as ear:
            await domain.resume()
            session = Session(console)
            await session.login("root", "demo", patience=BOOT)
            assert "QEMU guest agent is not connected" in await ask("domtime", "demo")
            await session.run(START)
            await agent_is(AgentState.CONNECTED, ear)
            await questions(ask)
            await deeds(ask, session, tmp_path / "key")
            await ear.wait(RtcChangeEvent)
            await sleep(ask, domain, ear)
            await silence(ask, session, ear)
        await console.close()


async def agent_is(state: AgentState, ear: Ear) -> None:
    async with asyncio.timeout(20):
        while [e.state for e in ear.heard if isinstance(e, AgentLifecycleEvent)][-1:] != [state]:
            await asyncio.sleep(0.05)


async def questions(ask: Ask) -> None:
    assert await ask("domhostname", "demo", "--source", "agent") == "demo"
    assert await ask("domhostname", "demo") == "demo"
    assert "no hostname found" in await ask("domhostname", "demo", "--source", "lease")
    told = await ask("guestinfo", "demo")
    for line in ("user.0.name         : root", "timezone.offset     : 0", "hostname            : demo"):
        assert line in told
    assert "if.1.addr.0.addr    : 10.0.2.15" in told
    assert "user" not in await ask("guestinfo", "demo", "--os")
    assert "10.0.2.15/24" in await ask("domifaddr", "demo", "--source", "agent")
    assert "10.0.2.15" not in await ask("domifaddr", "demo")
    assert await ask("domfsinfo", "demo") == "No filesystems are mounted in the domain"
    assert await ask("qemu-agent-command", "demo", '{"execute":"guest-ping"}') == '{"return":{}}'
    refused = await ask("qemu-agent-command", "demo", '{"execute":"guest-nothing"}')
    assert "unable to execute QEMU agent command 'guest-nothing': The command guest-nothing has not been" in refused


async def deeds(ask: Ask, session: Session, key: Path) -> None:
    assert await ask("domfsfreeze", "demo") == "Froze 0 filesystem(s)"
    assert await ask("domfsthaw", "demo") == "Thawed 0 filesystem(s)"
    assert await ask("domfstrim", "demo") == ""
    assert "mount point is not supported" in await ask("domfstrim", "demo", "--mountpoint", "/")
    assert await ask("domtime", "demo", "--time", "1000000000") == ""
    assert (await ask("domtime", "demo")).startswith("Time: 10000000")
    assert await session.run("date -u +%Y") == "2001\n"
    assert await ask("domtime", "demo", "--now") == ""
    assert await ask("domtime", "demo", "--sync") == ""
    assert await ask("guestvcpus", "demo", "--disable", "--cpulist", "1") == ""
    assert (await ask("guestvcpus", "demo")).split() == [
        "vcpus",
        ":",
        "0-1",
        "online",
        ":",
        "0",
        "offlinable",
        ":",
        "1",
    ]
    assert await session.run("nproc") == "1\n"
    assert await ask("guestvcpus", "demo", "--enable", "--cpulist", "1") == ""
    assert "guest is missing vCPUs '7'" in await ask("guestvcpus", "demo", "--enable", "--cpulist", "7")
    assert await ask("setvcpus", "demo", "1", "--guest") == ""
    assert await ask("vcpucount", "demo", "--guest") == "1"
    assert await ask("setvcpus", "demo", "2", "--guest") == ""
    assert await session.run("nproc") == "2\n"
    assert "3 > 2" in await ask("setvcpus", "demo", "3", "--guest")
    assert "Password set" in await ask("set-user-password", "demo", "root", "secret")
    assert await session.run("cat /run/chpasswd") == "\nroot:secret\n"
    assert await ask("set-user-sshkeys", "demo", "root", "--file", str(key)) == ""
    assert await ask("get-user-sshkeys", "demo", "root") == KEY
    assert await ask("set-user-sshkeys", "demo", "root", "--remove", "--file", str(key)) == ""
    assert await ask("get-user-sshkeys", "demo", "root") == ""


async def sleep(ask: Ask, domain: Domain, ear: Ear) -> None:
    assert "successfully suspended" in await ask("dompmsuspend", "demo", "mem")
    await until(domain, State.PMSUSPENDED)
    assert "domain is not running" in await ask("domtime", "demo")
    assert "successfully woken up" in await ask("dompmwakeup", "demo")
    await until(domain, State.RUNNING)
    await ear.wait(PmsuspendEvent)
    await ear.wait(PmwakeupEvent)
    assert ear.told()[-2:] == [(Lifecycle.PMSUSPENDED, "memory"), (Lifecycle.STARTED, "wakeup")]
    await agent_is(AgentState.CONNECTED, ear)


async def silence(ask: Ask, session: Session, ear: Ear) -> None:
    """An agent that hangs is told apart from one that is gone, and what it says late confuses nobody."""
    assert await ask("guest-agent-timeout", "demo", "--timeout", "1") == ""
    await session.run("killall -STOP qemu-ga")
    assert "guest agent didn't respond to synchronization within '1' seconds" in await ask("domtime", "demo")
    await session.run("killall -CONT qemu-ga")
    assert await ask("guest-agent-timeout", "demo", "--timeout=-2") == ""
    assert (await ask("domtime", "demo")).startswith("Time: ")
    await session.run("killall -STOP qemu-ga")
    waiting = asyncio.create_task(ask("qemu-agent-command", "demo", "--block", '{"execute":"guest-ping"}'))
    await asyncio.sleep(0.5)
    await session.run("killall -KILL qemu-ga")
    await agent_is(AgentState.DISCONNECTED, ear)
    assert "agent" in await waiting
    assert "QEMU guest agent is not connected" in await ask("domtime", "demo")
