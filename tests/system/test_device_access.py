"""What a guest's control group lets its processes open: seen by a process of ours that joins it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from parts import processes
from test_private_dev import DEV, GUEST, disk

from vmherd.api.aio import Domain, Host
from vmherd.util.cgroup import devices
from vmherd.util.cgroup.devices import Rule
from vmherd.util.cgroup.group import Group
from vmherd.util.cgroup.layout import Hierarchy, Layout, detect

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes control groups"),
]

#: Joins a group and says which of the files it may open; each has "r" or "w" in front.
JOIN = """
import os, sys
open(f"{sys.argv[1]}/cgroup.procs", "w").write("0")
for word in sys.argv[2:]:
    try:
        os.close(os.open(word[1:], os.O_RDONLY if word[0] == "r" else os.O_WRONLY))
        print(word)
    except OSError:
        pass
"""


def opened(group: Group, words: Sequence[str]) -> list[str]:
    """Which of the files a process of the group may open."""
    folder = str(group.folder("devices"))
    done = subprocess.run([sys.executable, "-c", JOIN, folder, *words], capture_output=True, text=True, check=True)
    return done.stdout.split()


def group_in(root: Path, *, unified: bool) -> Iterator[Group]:
    group = Group(Layout({"devices": Hierarchy(root, unified)}), f"vmherd-test-{os.getpid()}")
    try:
        group.create()
    except OSError as problem:
        pytest.skip(f"no groups can be made in {root}: {problem}")
    try:
        yield group
    finally:
        group.remove()


def mounted(kind: str, word: str) -> Path:
    """Where the control groups of a kind are mounted on this host."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, found, options, *_ = line.split(" ")
        if found == kind and (not word or word in options.split(",")):
            return Path(place)
    pytest.skip(f"no {kind} is mounted {word and f'for {word}'}")


@pytest.fixture(params=["v1", "v2"])
def group(request: pytest.FixtureRequest) -> Iterator[Group]:
    """A group in what this host has of both versions."""
    if request.param == "v2":
        yield from group_in(mounted("cgroup2", ""), unified=True)
    else:
        yield from group_in(mounted("cgroup", "devices"), unified=False)


WORDS = ["r/dev/null", "w/dev/null", "r/dev/zero", "w/dev/zero", "r/dev/full", "r/dev/tty0"]


def test_the_kernel_lets_a_group_open_what_it_is_told(group: Group) -> None:
    null, zero = Rule("c", 1, 3), Rule("c", 1, 5, writes=False)
    assert opened(group, WORDS) == WORDS
    devices.allow_only(group, [null, zero])
    assert opened(group, WORDS) == ["r/dev/null", "w/dev/null", "r/dev/zero"]
    devices.change(group, [null, zero], [zero, Rule("c", 1, 7)])
    assert opened(group, WORDS) == ["r/dev/zero", "r/dev/full"]
    devices.change(group, [zero, Rule("c", 1, 7)], [zero, Rule("c", 4)])
    assert opened(group, WORDS) == ["r/dev/zero", "r/dev/tty0"]
    devices.change(group, [zero, Rule("c", 4)], [])
    assert opened(group, WORDS) == []


def test_what_a_device_is_made_of_comes_with_it(tmp_path: Path) -> None:
    assert devices.rules_for("/dev/null") == [Rule("c", 1, 3)]
    assert devices.rules_for("/dev/null", writes=False) == [Rule("c", 1, 3, writes=False)]
    assert devices.rules_for(tmp_path) == devices.rules_for(tmp_path / "none") == []
    (tmp_path / "null").symlink_to("/dev/null")
    assert devices.rules_for(tmp_path / "null") == devices.rules_for(tmp_path) == [Rule("c", 1, 3)]


async def guests_group(domain: Domain, root: Path) -> Group:
    name = (root / "run/guests" / domain.uuid / "cgroup").read_text()
    group = Group(detect(), name)
    if not group.has("devices"):
        pytest.skip("this host has no control of devices by groups")
    return group


@pytest.mark.qemu
async def test_a_guest_opens_its_own_devices_alone(host: Host, tmp_path: Path) -> None:
    domain = await host.create(GUEST.format(name="a", more=""), paused=True)
    group = await guests_group(domain, tmp_path)
    usual = ["w/dev/null", "r/dev/urandom", "w/dev/ptmx"]
    words = [*usual, "r/dev/tty0", "w/dev/tty0"]
    assert opened(group, words) == usual
    random = "<rng model='virtio'><backend model='random'>/dev/tty0</backend></rng>"
    await domain.devices.attach(random)
    assert opened(group, words) == words
    stick = disk(DEV / "full", "sda", "usb", "raw", kind="block")
    await domain.devices.attach(stick)
    await domain.devices.detach(stick)
    assert opened(group, ["w/dev/full", *words]) == ["w/dev/full", *words]  # every guest has it
    await domain.poweroff()
    assert not group.folder("devices").exists()


@pytest.mark.qemu
@pytest.mark.skipif(not shutil.which("swtpm"), reason="needs swtpm (package swtpm)")
async def test_helpers_are_in_the_group_of_their_guest(host: Host, tmp_path: Path) -> None:
    tpm = "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"
    domain = await host.create(GUEST.format(name="a", more=tpm))
    group = await guests_group(domain, tmp_path)
    [helper] = [pid for pid, line in processes(tmp_path).items() if line.startswith("/usr/bin/swtpm")]
    members = (group.folder("devices") / "cgroup.procs").read_text().split()
    assert sorted(members) == sorted([str(helper), str((await domain.info()).pid)])
