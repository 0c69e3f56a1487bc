"""The demo guest: made of packages, and a real operating system to prove the power buttons on."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from parts import Ear, processes

from vmherd.api.aio import Domain, Host
from vmherd.conf.domain import parse_domain, render
from vmherd.driver.types import ShutdownMode, ShutoffReason, State
from vmherd.errors import ArgumentUnsupported, Busy, HostError, Unsupported
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
        assert await session.run(f"echo {'x' * 150}") == f"{'x' * 150}\n"  # longer than the line of a terminal
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


async def test_it_sees_its_disks_and_leaves_without_force(host: Host, demo: DemoGuest, tmp_path: Path) -> None:
    disks = ""
    for name, bus, size in (("vda", "virtio", 1 << 20), ("sda", "scsi", 2 << 20)):
        (tmp_path / name).write_bytes(bytes(size))
        disks += (
            f"<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
            f"<source file='{tmp_path / name}'/><target dev='{name}' bus='{bus}'/></disk>"
        )
    plain = await (await define(host, demo)).xml(inactive=True)
    controller = "<controller type='scsi' model='virtio-scsi'/>"
    domain = await host.define(plain.replace("</devices>", f"{disks}{controller}</devices>"))
    async with talking(domain) as session:
        await session.login("root", "demo", patience=BOOT)
        assert await session.run("cd /sys/class/block; cat vda/size sda/size") == "2048\n4096\n"
        await session.send("reboot\n")
        await session.login("root", "demo", patience=BOOT)
        await session.send("poweroff\n")
        await domain.wait_stopped(30)
    assert (await domain.info()).reason == ShutoffReason.SHUTDOWN


async def test_a_guest_that_ignores_the_button_runs_on(host: Host, demo: DemoGuest) -> None:
    domain = await define(host, demo, cmdline="power_button=ignore")
    async with talking(domain) as session:
        await session.expect("login: ", patience=BOOT)
        await domain.shutdown()
        with pytest.raises(Busy, match="still runs after 2 s"):
            await domain.wait_stopped(2)
        assert await domain.state() is State.RUNNING
        with pytest.raises(ArgumentUnsupported, match="guest agent"):
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
        (kernel,) = (step for step in steps if step.startswith("fetching linux-image"))
        assert re.search(r" \([1-9]\d*\.\d MB\)$", kernel)
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
    assert not list(tmp_path.rglob("making-*"))  # what the killed ones left is gone


async def test_a_package_that_does_not_exist_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no-such-package") as caught:
        await debian.download("no-such-package", tmp_path)
    assert "apt-get update" in caught.value.hint


def test_a_package_that_is_damaged_is_never_taken_for_a_whole_one(tmp_path: Path) -> None:
    broken = tmp_path / "broken.deb"
    broken.write_bytes(b"!<arch>\n")
    with pytest.raises(HostError, match=r"cannot read broken\.deb"):
        list(debian.extract(broken, lambda _: True))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as files:
        for name in ("./one", "./two"):
            files.addfile(tarfile.TarInfo(name))
    whole = b"!<arch>\n" + b"".join(
        f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data
        for name, data in (("debian-binary", b"2.0\n"), ("control.tar", bytes(1024)), ("data.tar", archive.getvalue()))
    )
    broken.write_bytes(whole)
    assert list(debian.extract(broken, lambda _: True)) == [("one", b""), ("two", b"")]
    broken.write_bytes(whole[: len(whole) - len(archive.getvalue()) + 512])  # cut between the two files
    with pytest.raises(HostError, match=r"cannot read broken\.deb: dpkg-deb"):
        list(debian.extract(broken, lambda _: True))


async def test_a_host_without_package_lists_or_room_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lists" / "partial").mkdir(parents=True)
    caches = 'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'
    (tmp_path / "apt.conf").write_text(f'Dir::State::Lists "{tmp_path}/lists";\n{caches}')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(HostError) as caught:
        await demo_guest()
    assert "apt-get update" in caught.value.hint
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "apt.conf"))
    with pytest.raises(HostError, match=r"cannot make the demo guest in .*apt\.conf"):
        await demo_guest()


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


async def test_it_goes_on_where_it_was_saved(host: Host, demo: DemoGuest, tmp_path: Path) -> None:
    (tmp_path / "qemu.toml").write_text("save_image_format = 'gzip'\n")
    domain = await define(host, demo)
    async with talking(domain) as session:
        await session.login("root", "demo", patience=BOOT)
        await session.run("sleep 1000 & echo 'I remember' > /run/memory")
        before = float((await session.run("cat /proc/uptime")).split()[0])
    await domain.managed_save()
    assert await domain.state() is State.SHUTOFF
    async with talking(domain) as session:
        await session.send("\n")
        await session.expect("# $")
        assert await session.run("cat /run/memory; pidof sleep > /dev/null") == "I remember\n"
        after = float((await session.run("cat /proc/uptime")).split()[0])
        assert before < after < before + 60
        assert "64 bytes from 10.0.2.2" in await session.run("ping -c 1 10.0.2.2")
