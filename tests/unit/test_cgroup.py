"""Control groups: which hierarchies hosts have, as they were recorded, and what is written into v2's files.

A made-up v2 tree is plain files, so that its kernel refuses nothing; v1 is tried for real by the tests of guests.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from vmherd.util.cgroup import limits
from vmherd.util.cgroup.group import Group, remove
from vmherd.util.cgroup.layout import Hierarchy, Layout, detect

ALL = {"cpu", "cpuacct", "cpuset", "memory", "blkio", "devices"}
V1 = ("cpu,cpuacct", "cpuset", "memory", "blkio", "devices")
NEW_FILES = {
    "cpu.max": "max 100000",
    "cpu.weight": "100",
    "cpu.stat": "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000",
    "memory.max": "max",
    "memory.high": "max",
    "memory.swap.max": "max",
    "io.max": "",
    "io.weight": "default 100",
    "cpuset.mems": "",
    "cgroup.procs": "",
    "cgroup.threads": "",
    "cgroup.subtree_control": "",
}


def host(root: Path, kind: str) -> Path:
    """A /proc and a /sys/fs/cgroup of a host with "v1", "v2" or "hybrid" control groups."""
    tree = root / "sys"
    mounts, lines = ["proc /proc proc rw 0 0"], []
    if kind != "v2":
        for number, names in enumerate(V1, 1):
            (tree / names).mkdir(parents=True)
            mounts.append(f"cgroup {tree / names} cgroup rw,nosuid,{names} 0 0")
            lines.append(f"{number}:{names}:/user.slice")
    if kind != "v1":
        unified = tree / "unified"
        unified.mkdir(parents=True)
        words = "cpuset cpu io memory hugetlb pids" if kind == "v2" else "hugetlb"
        (unified / "cgroup.controllers").write_text(f"{words}\n")
        mounts.append(f"cgroup2 {unified} cgroup2 rw 0 0")
        lines.append("0::/user.slice")
    (root / "self").mkdir()
    (root / "mounts").write_text("\n".join(mounts))
    (root / "self/cgroup").write_text("\n".join(lines))
    return root


@pytest.mark.parametrize(("kind", "unified"), [("v1", set()), ("v2", ALL), ("hybrid", set())])
def test_each_controller_is_found_in_the_hierarchy_that_has_it(tmp_path: Path, kind: str, unified: set[str]) -> None:
    found = detect(host(tmp_path, kind))
    assert set(found.controllers) == ALL
    assert {name for name, tree in found.controllers.items() if tree.unified} == unified
    assert len(found.hierarchies) == (1 if unified else 5)


def test_a_host_without_control_groups_has_none(tmp_path: Path) -> None:
    assert detect(tmp_path) == Layout({})


@pytest.fixture
def group(tmp_path: Path) -> Group:
    """A group in a v2 tree, with the files that a kernel would show there."""
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory")
    (tmp_path / "cgroup.subtree_control").write_text("")
    tree = Hierarchy(tmp_path, unified=True)
    found = Group(Layout(dict.fromkeys(("cpu", "cpuacct", "cpuset", "memory", "blkio"), tree)), "machine/web")
    found.create()
    for name, text in NEW_FILES.items():
        (tmp_path / "machine/web" / name).write_text(f"{text}\n")
    return found


def text(group: Group, name: str) -> str:
    return (group.folders[0] / name).read_text().strip()


@pytest.mark.parametrize(("shares", "weight"), [(1024, "100"), (2, "1"), (512, "50"), (262144, "10000")])
def test_shares_become_weights(group: Group, shares: int, weight: str) -> None:
    limits.set_cpu_shares(group, shares)
    assert text(group, "cpu.weight") == weight


def test_a_quota_and_its_period_are_one_file_and_either_may_stay(group: Group) -> None:
    limits.set_cpu_quota(group, None, 20000)
    assert text(group, "cpu.max") == "20000 100000"
    limits.set_cpu_quota(group, 50000, None)
    assert text(group, "cpu.max") == "20000 50000"
    limits.set_cpu_quota(group, None, -1)
    assert text(group, "cpu.max") == "max 50000"


def test_swap_is_what_goes_beyond_memory(group: Group) -> None:
    limits.set_memory(group, 100, 50, 300)
    assert [text(group, f"memory.{name}") for name in ("max", "high", "swap.max")] == ["100", "50", "200"]
    limits.set_memory(group, None, None, None)
    assert [text(group, f"memory.{name}") for name in ("max", "high", "swap.max")] == ["max"] * 3


def test_limits_of_disks_are_words_of_one_file(group: Group) -> None:
    limits.set_device_limit(group, "8:0", "read_bytes_sec", 1000)
    assert text(group, "io.max") == "8:0 rbps=1000"
    limits.set_device_limit(group, "8:0", "write_iops_sec", 0)
    assert text(group, "io.max") == "8:0 wiops=max"
    limits.set_device_weight(group, "8:0", 0)
    assert text(group, "io.weight") == "8:0 default"


def test_cpu_time_is_told_in_seconds(group: Group) -> None:
    assert limits.cpu_usage(group) == (5.0, 3.0, 2.0)
    assert limits.cpu_usage_each(group) == ()


def test_threads_are_in_threaded_groups_below_their_process(group: Group, tmp_path: Path) -> None:
    group.threads("vcpu0").add_thread(77)
    below = tmp_path / "machine/web/vcpu0"
    assert (below / "cgroup.type").read_text() == "threaded"
    assert (below / "cgroup.threads").read_text() == "77"
    assert (tmp_path / "machine/web/cgroup.subtree_control").read_text() == "+cpuset"  # the last one that was asked for


def test_removing_what_is_not_there_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "group/below").mkdir(parents=True)
    remove(tmp_path / "group")
    remove(tmp_path / "group")
    assert not (tmp_path / "group").exists()
