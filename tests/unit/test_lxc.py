"""Containers: their documents completed and checked, configuration files of LXC read."""

from __future__ import annotations

import pytest

from vmherd.conf.domain import parse_domain, render
from vmherd.errors import DocumentError
from vmherd.hypervisors.lxc import complete, native, validate

EMULATOR = "/usr/libexec/libvirt_lxc"
ROOT = "lxc.uts.name = box\nlxc.rootfs.path = dir:/srv/box\n"


def document(inside: str = "", *, os: str = "<init>/sbin/init</init>") -> str:
    return (
        "<domain type='lxc'><name>box</name><memory unit='MiB'>64</memory>"
        f"<os><type>exe</type>{os}</os>{inside}</domain>"
    )


def completed(text: str) -> str:
    domain = parse_domain(text)
    complete.complete(domain, emulator=EMULATOR, arch="x86_64")
    validate.check(domain, {"x86_64", "i686"})
    return render(domain)


def read(lines: str) -> str:
    return render(native.read(ROOT + lines).domain)


def test_a_container_gets_its_consoles_emulator_and_sorted_ids() -> None:
    ids = "".join(f"<{tag} start='{start}' target='9' count='1'/>" for tag in ("uid", "gid") for start in ("1000", "0"))
    text = completed(document(f"<idmap>{ids}</idmap><devices><console type='pty'/></devices>"))
    assert "<type arch='x86_64'>exe</type>" in text
    assert "<emulator>/usr/libexec/libvirt_lxc</emulator>" in text
    assert "<target type='lxc' port='0'/>" in text
    assert text.index("<uid start='0'") < text.index("<uid start='1000'")
    assert "<serial" not in text
    assert completed(text) == text


def test_namespaces_of_others_are_kept() -> None:
    shared = (
        "<lxc:namespace xmlns:lxc='http://libvirt.org/schemas/domain/lxc/1.0'><lxc:sharenet type='netns' value='red'/>"
        "<lxc:shareipc type='pid' value='7'/><lxc:shareuts type='name' value='other'/></lxc:namespace>"
    )
    text = completed(document(shared))
    assert "<lxc:sharenet type='netns' value='red'/>" in text
    assert "<lxc:shareuts type='name' value='other'/>" in text
    with pytest.raises(DocumentError, match="names a network only"):
        completed(document(shared.replace("type='pid'", "type='netns'")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (document(os=""), "program to run is missing"),
        (document().replace("exe", "hvm"), "not 'hvm'"),
        (document().replace("'lxc'", "'kvm'"), "is no container"),
        (document().replace("<type>", "<type arch='s390x'>"), "architecture s390x"),
        (document("<idmap><uid start='0' target='1' count='1'/></idmap>"), "mapped together"),
        (
            document("<idmap><uid start='0' target='1' count='1'/><gid start='5' target='1' count='1'/></idmap>"),
            "root of the container is not mapped",
        ),
    ],
)
def test_what_makes_no_container_is_refused_with_advice(text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message) as caught:
        completed(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        ("lxc.arch = amd64", "<type arch='x86_64'>exe</type>"),
        ("lxc.tty.max = 2", "<target type='lxc' port='1'/>"),
        ("", "<privnet/>"),
        ("lxc.net.0.type = empty", "<privnet/>"),
        ("lxc.cap.drop = mknod\nlxc.cap.drop = sys_time", "<sys_time state='off'/>"),
        ("lxc.cap.keep = mknod", "<capabilities policy='deny'>"),
        ("lxc.idmap = b 0 100000 65536", "<gid start='0' target='100000' count='65536'/>"),
        ("lxc.cgroup.memory.limit_in_bytes = 1G", "<memory unit='KiB'>1048576</memory>"),
        ("lxc.cgroup.memory.memsw.limit_in_bytes = 2048", "<swap_hard_limit unit='KiB'>2</swap_hard_limit>"),
        ("lxc.cgroup.cpu.cfs_quota_us = -1", "<quota>-1</quota>"),
        ("lxc.cgroup.cpuset.mems = 0-1", "<memory mode='strict' nodeset='0-1'/>"),
        ("lxc.cgroup.blkio.device_weight = 8:0 300", "<path>/dev/block/8:0</path>"),
        ("lxc.mount.entry = /dev/sdb data ext4 ro 0 0", "<source dev='/dev/sdb'/>"),
        ("lxc.mount.entry = /etc /srv/box/host none bind 0 0", "<target dir='/host'/>"),
        ("lxc.mount.entry = tmpfs run tmpfs size=1m 0 0", "<source usage='1048576' units='bytes'/>"),
        ("lxc.net.0.type = veth\nlxc.net.0.flags = up", "<interface type='ethernet'>"),
        ("lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.name = eth7", "<guest dev='eth7'/>"),
        ("lxc.network.type = macvlan\nlxc.network.link = eth0", "<source dev='eth0' mode='private'/>"),
        ("lxc.network.type = vlan\nlxc.network.link = eth0\nlxc.network.vlan.id = 7", "<interface>eth0.7</interface>"),
        (
            "lxc.network.type = phys\nlxc.network.link = eth0\nlxc.network.ipv6 = fe80::1/64",
            "<ip address='fe80::1' family='ipv6' prefix='64'/>",
        ),
    ],
)
def test_a_setting_is_taken_over(lines: str, part: str) -> None:
    assert part in read(lines)


def test_basic_mounts_are_left_out_and_roots_may_be_images() -> None:
    assert read("lxc.mount.entry = proc proc proc nodev 0 0").count("<filesystem") == 1
    image = native.read("lxc.utsname = box\nlxc.rootfs = loop:/srv/box.img\n").domain
    assert "<driver type='loop' format='raw'/>" in render(image)


def test_cards_are_told_apart_by_number_or_by_block() -> None:
    new = read("lxc.net.1.type = veth\nlxc.net.0.type = veth\nlxc.net.1.link = b\nlxc.net.0.link = a")
    old = read("lxc.network.type = veth\nlxc.network.link = b\nlxc.network.type = veth\nlxc.network.link = a")
    assert new == old
    assert new.index("bridge='b'") < new.index("bridge='a'")


def test_what_a_document_has_no_place_for_is_told() -> None:
    lines = "lxc.autodev = 1\nlxc.net.0.type = veth\nlxc.net.0.script.up = /bin/x\n# lxc.tty = 4"
    assert native.read(ROOT + lines).ignored == ["lxc.autodev = 1", "lxc.net.script.up = /bin/x"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lxc.rootfs = /srv", "has no name"),
        ("lxc.utsname = box", "has no root"),
        ("lxc.utsname box", r"line 1\): 'lxc.utsname box' is not like key = value"),
        (ROOT + "lxc.mount.fstab = /etc/fstab", "file with mounts"),
        (ROOT + "lxc.mount.entry = tmpfs run tmpfs nodev 0 0", "has no size"),
        (ROOT + "lxc.mount.entry = tmpfs run tmpfs size=50% 0 0", "is relative"),
        (ROOT + "lxc.mount.entry = tmpfs run", "is no mount"),
        (ROOT + "lxc.cap.drop = fly", "no capability 'fly'"),
        (ROOT + "lxc.idmap = u 0 1", "maps no ids"),
        (ROOT + "lxc.tty = some", "is no number from 0"),
        (ROOT + "lxc.net.0.type = ipvlan", "type 'ipvlan'"),
        (ROOT + "lxc.net.type = veth", "number of the card"),
        (ROOT + "lxc.net.0.type = phys", "which card of the host"),
        (ROOT + "lxc.net.0.ipv4.address = here", "no numeric address"),
        (ROOT + "lxc.net.0.ipv4.gateway = auto", "no numeric address"),
        (ROOT + "lxc.net.0.type = veth\nlxc.net.0.hwaddr = fe:xx", "no MAC address"),
        (ROOT + "lxc.cgroup.cpu.shares = lots", "is no number from 0"),
        (ROOT + "lxc.cgroup.cpuset.cpus = all", "lxc.cgroup.cpuset.cpus"),
        (ROOT + "lxc.cgroup.blkio.device_weight = 8:0", "limit of a device"),
        (ROOT.replace("dir:", "zfs:"), "root of kind 'zfs'"),
    ],
)
def test_configurations_of_no_container_are_refused(text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        native.read(text)
