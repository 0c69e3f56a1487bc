"""Labels and identities: what is made of documents and of the host's policy, without touching the host."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from vmherd.conf.domain.seclabel import DeviceSeclabel, Seclabel, SeclabelType
from vmherd.errors import HostError, Unsupported, VmherdError
from vmherd.security import apparmor, dac, identity, ownership, selinux
from vmherd.security.identity import Identity

WHO = Identity(1000, 1001, (5,))
STATIC, NONE, DYNAMIC = SeclabelType.STATIC, SeclabelType.NONE, SeclabelType.DYNAMIC


@pytest.mark.parametrize(
    ("label", "owner"),
    [
        ("+64055:+108", (64055, 108)),
        ("64055:108", (64055, 108)),
        ("root:root", (0, 0)),
        ("root", (0, 0)),
        ("+7", (7, 7)),
    ],
)
def test_a_label_names_user_and_group(label: str, owner: tuple[int, int]) -> None:
    assert identity.parse_label(label).owner == owner


@pytest.mark.parametrize("label", ["nobody-of-that-name", "root:no-such-group", "", "+", "+-1", "root:x:y"])
def test_a_label_of_nobody_is_refused(label: str) -> None:
    with pytest.raises(HostError):
        identity.parse_label(label)


@pytest.mark.parametrize(
    ("told", "confined", "label", "relabels"),
    [
        ([], True, "+1000:+1001", True),
        ([], False, None, True),
        ([Seclabel(model="none", type=NONE)], True, "+1000:+1001", True),
        ([Seclabel(model="dac", type=NONE)], True, None, False),
        ([Seclabel(model="dac", type=STATIC, label="+7:+8")], True, "+7:+8", False),
        ([Seclabel(model="dac", type=STATIC, label="+7:+8", relabel=True)], True, "+7:+8", True),
        ([Seclabel(model="dac", type=DYNAMIC, relabel=True)], True, "+1000:+1001", True),
    ],
)
def test_a_guest_is_told_what_it_runs_as(
    told: list[Seclabel], confined: bool, label: str | None, relabels: bool
) -> None:
    dac.complete(told, WHO, confined=confined)
    found = dac.find(told)
    assert (found.label if found else None) == label
    assert dac.relabels(told) is relabels
    assert found is None or found.imagelabel == (label if relabels else None)


def test_a_static_label_must_be_told() -> None:
    with pytest.raises(Unsupported):
        dac.complete([Seclabel(model="dac", type=STATIC)], WHO)


@pytest.mark.parametrize(
    ("labels", "owner"),
    [
        ([], (1000, 1001)),
        ([DeviceSeclabel(model="dac", relabel=False)], None),
        ([DeviceSeclabel(relabel=False)], None),
        ([DeviceSeclabel(model="selinux", relabel=False)], (1000, 1001)),
        ([DeviceSeclabel(model="dac", label="+7:+8")], (7, 8)),
        ([DeviceSeclabel(model="dac", relabel=True)], (1000, 1001)),
    ],
)
def test_a_device_may_have_a_label_of_its_own(labels: list[DeviceSeclabel], owner: tuple[int, int] | None) -> None:
    assert dac.owner(labels, WHO) == owner


@pytest.mark.parametrize(
    ("mode", "owner", "may"),
    [
        (0o400, WHO, True),
        (0o044, WHO, False),
        (0o040, Identity(2, 1001), True),
        (0o040, Identity(2, 3), False),
        (0o040, Identity(2, 3, (1001,)), True),
        (0o004, Identity(2, 3), True),
        (0o404, Identity(2, 1001), False),
    ],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_who_may_read_a_file(tmp_path: Path, mode: int, owner: Identity, may: bool) -> None:
    path = tmp_path / "file"
    path.touch()
    os.chown(path, 1000, 1001)
    path.chmod(mode)
    assert ownership.may_read(path, owner) is may


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_an_owner_is_put_back_by_the_last_user_however_often_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    os.chown(path, 5, 6)
    wanted = ownership.Wanted((7, 8))

    def owner() -> tuple[int, int]:
        status = path.stat()
        return status.st_uid, status.st_gid

    for user in ("a", "a", "b"):
        ownership.take(path, wanted, user)
    with pytest.raises(HostError, match="as another user"):
        ownership.take(path, ownership.Wanted((9, 9)), "c")
    for user, after in (("c", (7, 8)), ("a", (7, 8)), ("a", (7, 8)), ("b", (5, 6)), ("b", (5, 6))):
        ownership.give_back(path, user)
        assert owner() == after
    assert os.listxattr(path) == []
    ownership.take(path, wanted, "a", remember=False)
    ownership.give_back(path, "a")
    assert owner() == (7, 8)
    ownership.give_back(path, "a", otherwise=(5, 6))
    assert owner() == (5, 6)


# SELinux

OURS = "system_u:system_r:virtd_t:s0-s0:c0.c1023"


@pytest.fixture
def policy(tmp_path: Path) -> Callable[[str], selinux.Policy]:
    contexts = tmp_path / "targeted/contexts"
    contexts.mkdir(parents=True)
    (tmp_path / "config").write_text("# a comment\nSELINUX=enforcing\nSELINUXTYPE=targeted\n")
    process = "system_u:system_r:svirt_t:s0\nsystem_u:system_r:svirt_tcg_t:s0\n"
    (contexts / "virtual_domain_context").write_text(process)
    image = "system_u:object_r:svirt_image_t:s0\nsystem_u:object_r:virt_content_t:s0\n"
    (contexts / "virtual_image_context").write_text(image)

    def load(ours: str) -> selinux.Policy:
        (tmp_path / "current").write_text(ours + "\0")
        return selinux.load_policy(tmp_path / "config", tmp_path / "current")

    return load


def test_each_guest_has_two_categories_that_no_other_has(policy: Callable[[str], selinux.Policy]) -> None:
    narrow = policy(OURS.replace("c0.c1023", "c3.c5"))
    taken: set[str] = set()
    for _ in range(3):
        taken.add(selinux.choose_level(narrow, taken))
    assert taken == {"s0:c3,c4", "s0:c3,c5", "s0:c4,c5"}
    with pytest.raises(HostError, match="all categories"):
        selinux.choose_level(narrow, taken)
    with pytest.raises(HostError, match="no two categories"):
        selinux.choose_level(policy(OURS.replace("c0.c1023", "c3")), ())


def test_processes_and_files_are_labelled_alike(policy: Callable[[str], selinux.Policy]) -> None:
    found = selinux.labels(policy(OURS), "s0:c1,c2", kvm=False)
    assert found.process == "system_u:system_r:svirt_tcg_t:s0:c1,c2"
    assert selinux.of_file(found, writes=True, shared=False) == "system_u:object_r:svirt_image_t:s0:c1,c2"
    assert selinux.of_file(found, writes=True, shared=True) == "system_u:object_r:svirt_image_t:s0"
    assert selinux.of_file(found, writes=False, shared=True) == "system_u:object_r:virt_content_t:s0"
    assert selinux.labels(policy(OURS), "s0:c1,c2", kvm=True).process == "system_u:system_r:svirt_t:s0:c1,c2"
    static = selinux.labels(policy(OURS), "s0:c1,c2", kvm=True, process="u:r:my_t:s0:c8,c9")
    assert (static.process, static.image) == ("u:r:my_t:s0:c8,c9", "system_u:object_r:svirt_image_t:s0:c8,c9")
    base = selinux.labels(policy(OURS), "s0:c1,c2", kvm=True, process="u:r:my_t:s0")
    assert base.process == "u:r:my_t:s0:c1,c2"


def test_a_policy_without_guests_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="says nothing of virtual machines"):
        selinux.load_policy(tmp_path / "none", tmp_path / "none")
    with pytest.raises(HostError, match="no SELinux context"):
        selinux.parse("svirt_t")


@pytest.mark.parametrize(
    ("state", "active", "enforcing"), [(None, False, False), ("0", True, False), ("1", True, True)]
)
def test_selinux_is_found_where_it_is(tmp_path: Path, state: str | None, active: bool, enforcing: bool) -> None:
    if state is not None:
        (tmp_path / "enforce").write_text(state)
    assert (selinux.active(tmp_path), selinux.enforcing(tmp_path)) == (active, enforcing)


# AppArmor

UUID = "f2f7a1c4-93f4-4a2c-8a6b-1d3c4f3a9c11"


def test_a_profile_names_what_the_guest_uses(tmp_path: Path) -> None:
    rules = [
        apparmor.Rule("/images/a b.qcow2", writes=True),
        apparmor.Rule('/images/base*[1]".qcow2'),
        apparmor.Rule("/run/guest", writes=True, folder=True),
    ]
    (tmp_path / "base").touch()
    text = apparmor.profile(UUID, "/usr/bin/qemu-system-x86_64", rules, tmp_path)
    lines = [line.strip() for line in text.splitlines()]
    assert f"profile vmherd-{UUID} flags=(attach_disconnected) {{" in lines
    assert [line for line in lines if "include <abs" in line] == ["#include <abstractions/base>"]
    for line in ('"/images/a b.qcow2" rwk,', r'"/images/base\*\[1\]\".qcow2" rk,', '"/run/guest/**" rwk,'):
        assert line in lines
    with pytest.raises(HostError):
        apparmor.profile(UUID, "/bin/true", [apparmor.Rule("/a\n/** rw,")], tmp_path)


@pytest.mark.skipif(not shutil.which("apparmor_parser"), reason="needs apparmor_parser (package apparmor)")
def test_the_parser_takes_the_profile(tmp_path: Path) -> None:
    rules = [apparmor.Rule(r'/a "b" \* [c]{d}^?', writes=True), apparmor.Rule("/d", folder=True)]
    file = tmp_path / "profile"
    file.write_text(apparmor.profile(UUID, "/usr/bin/qemu-system-x86_64", rules))
    command = ["apparmor_parser", "--skip-kernel-load", "--skip-cache", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_apparmor_is_found_where_it_is(tmp_path: Path) -> None:
    switch = tmp_path / "enabled"
    assert not apparmor.active(tmp_path, switch)
    for text, found in (("N\n", False), ("Y\n", True)):
        switch.write_text(text)
        assert apparmor.active(tmp_path, switch) is found
    assert not apparmor.active(tmp_path / "none", switch)


def test_what_the_host_does_not_have_is_not_in_force() -> None:
    from vmherd.hypervisors.qemu import mandatory
    from vmherd.hypervisors.qemu.config import Config

    assert mandatory.model(Config()) == "none"
    if not selinux.active():
        with pytest.raises(VmherdError, match="does not enforce"):
            mandatory.model(Config(security_driver="selinux"))
