"""The demo guest: made of packages, and a real operating system to prove the power buttons on."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from parts import Ear, processes

from vmherd.api.aio import Domain, Host
from vmherd.conf.domain import parse_domain, render
from vmherd.driver.types import ShutdownMode, ShutoffReason, State
from vmherd.errors import Busy, HostError, NotResponding, Unsupported
from vmherd.events import Lifecycle
from vmherd.guest import debian
from vmherd.guest.demo import DemoGuest, demo_guest
from vmherd.guest.session import Session
from vmherd.guest.spec import GuestSpec, best_platform

pytestmark = [pytest.mark.qemu, pytest.mark.packages]

#: Seconds for a boot in software on a busy machine.
BOOT = 90.0


async def define(host: Host, demo: DemoGuest, *, cmdline: str = "", **changes: str) -> Domain:
    """The demo guest as a domain; ``changes`` are elements such as on_reboot."""
    spec = GuestSpec(
        name="demo", memory=128 << 20, kernel=demo.kernel, initrd=demo.initrd, cmdline=f"{demo.cmdline} {cmdline}"
    )
    xml = render(spec.document(best_platform(await host.capabilities())))
    for name, value in changes.items():
        xml = re.sub(f"<{name}>\\w+<", f"<{name}>{value}<", xml)
    return await host.define(xml)


@asynccontextmanager
async def talking(domain: Domain) -> AsyncIterator[Session]:
    """Boot the guest with somebody at its console from the first line on."""
    await domain.start(paused=True)
    console = await domain.open_console()
    try:
        await domain.resume()
        yield Session(console)
    finally:
        await console.close()


async def test_it_boots_gets_an_address_and_obeys_the_power_button(host: Host, demo: DemoGuest) -> None:
    domain = await define(host, demo, cmdline="hostname=otter")
    async with talking(domain) as session, Ear(host) as ear:
        await session.login("root", "demo", patience=BOOT)
        assert await session.run("hostname") == "otter\n"
        assert "inet 10.0.2.15/24" in await session.run("ip addr show eth0")
        assert "dev eth0" in await session.run("ip route")
        assert "hwrng" in await session.run("ls /dev/hwrng")
        await domain.shutdown()
        await ear.hear(Lifecycle.STOPPED)
    assert (Lifecycle.SHUTDOWN, "guest") in ear.told()
    info = await domain.info()
    assert (info.state, info.reason) == (State.SHUTOFF, ShutoffReason.SHUTDOWN)


async def test_a_reboot_from_inside_and_from_outside_comes_back(host: Host, demo: DemoGuest) -> None:
    domain = await define(host, demo)
    async with talking(domain) as session:
        await session.login("root", "demo", patience=BOOT)
        await session.send("reboot -f\n")
        await session.login("root", "demo", patience=BOOT)
        await domain.reboot()  # the power button, and another start where the guest would stop
        await session.login("root", "demo", patience=BOOT)
        await domain.reset()
        await session.expect("login: ", patience=BOOT)
    info = await domain.info()
    assert (info.state, info.id) == (State.RUNNING, 1)


async def test_a_guest_that_ignores_the_button_runs_on(host: Host, demo: DemoGuest) -> None:
    domain = await define(host, demo, cmdline="power_button=ignore")
    async with talking(domain) as session:
        await session.expect("login: ", patience=BOOT)
        await domain.shutdown()
        with pytest.raises(Busy, match="still runs after 2 s"):
            await domain.wait_stopped(2)
        assert await domain.state() is State.RUNNING
        with pytest.raises(NotResponding, match="guest agent"):
            await domain.shutdown(mode=ShutdownMode.AGENT)


async def test_a_shutdown_can_be_made_a_restart(host: Host, demo: DemoGuest) -> None:
    domain = await define(host, demo, on_poweroff="restart")
    async with talking(domain) as session:
        await session.login("root", "demo", patience=BOOT)
        await session.send("poweroff -f\n")
        await session.expect("login: ", patience=BOOT)
    assert (await domain.info()).state is State.RUNNING


async def test_a_reboot_can_be_made_the_end(host: Host, demo: DemoGuest) -> None:
    domain = await define(host, demo, on_reboot="destroy")
    async with talking(domain) as session:
        await session.login("root", "demo", patience=BOOT)
        await session.send("reboot -f\n")
        await domain.wait_stopped(30)
    assert (await domain.info()).reason == ShutoffReason.SHUTDOWN
    with pytest.raises(Unsupported, match="domain/on_poweroff"):
        await define(host, demo, on_reboot="destroy", on_poweroff="restart")


async def test_a_crash_of_the_guests_kernel_is_told_and_ends_it(host: Host, demo: DemoGuest) -> None:
    domain = await define(host, demo)
    document = parse_domain(await domain.xml(inactive=True))
    panic = render(document).replace("</devices>", "<panic model='isa'/></devices>")
    domain = await host.define(panic)
    async with Ear(host) as ear, talking(domain) as session:
        await session.login("root", "demo", patience=BOOT)
        await session.send("echo c > /proc/sysrq-trigger\n")
        await ear.hear(Lifecycle.STOPPED)
    assert (Lifecycle.CRASHED, "panicked") in ear.told()


async def test_two_builds_of_the_same_packages_are_equal_and_the_cache_needs_no_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = []
    for name in ("one", "other"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
        steps: list[str] = []
        guest = await demo_guest(steps.append)
        assert any("fetching linux-image" in step for step in steps)
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in (guest.kernel, guest.initrd)])
    assert digests[0] == digests[1]
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert await demo_guest(steps.append) == guest
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "third"))
    with pytest.raises(HostError, match="apt-cache is not installed"):
        await demo_guest()


async def test_a_builder_that_is_killed_leaves_nothing_that_is_taken_for_a_guest(tmp_path: Path) -> None:
    code = (
        "import asyncio; from vmherd.guest.demo import demo_guest\n"
        "asyncio.run(demo_guest(lambda step: print(step, flush=True)))"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    for last in ("fetching busybox", "building"):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as builder:
            assert builder.stdout is not None
            while last not in builder.stdout.readline().decode():
                pass
            builder.send_signal(signal.SIGKILL)
    assert not list(tmp_path.rglob("initrd.gz"))
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) for _ in range(2)]
    said = [each.communicate(timeout=120)[0].decode() for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert sorted("building" in each for each in said) == [False, True]  # the second waited for the first
    assert len(list(tmp_path.rglob("initrd.gz"))) == 1


async def test_a_package_that_does_not_exist_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no-such-package") as caught:
        await debian.download("no-such-package", tmp_path)
    assert "apt-get update" in caught.value.hint
    broken = tmp_path / "broken.deb"
    broken.write_bytes(b"!<arch>\n")
    with pytest.raises(HostError, match=r"cannot read broken\.deb"):
        list(debian.extract(broken, lambda _: True))


async def test_no_process_of_a_guest_is_left(host: Host, demo: DemoGuest, tmp_path: Path) -> None:
    domain = await define(host, demo)
    async with talking(domain) as session:
        await session.login("root", "demo", patience=BOOT)
        await session.send("poweroff -f\n")
        await domain.wait_stopped(30)
    async with asyncio.timeout(20):
        while processes(tmp_path):
            await asyncio.sleep(0.1)
    assert not list((tmp_path / "run" / "guests").iterdir())
    assert replace(await domain.info(), since=0).active is False
