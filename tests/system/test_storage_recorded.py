"""Pools that this machine cannot have for real, against programs that say what was recorded of the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from daemons import RunningDaemon
from namespaces import Host as OwnHost
from pools import Programs, blank, define, own_dev, storage_daemon

pytestmark = [pytest.mark.root]

daemon = storage_daemon


@pytest.fixture
def programs(daemon: RunningDaemon, own: OwnHost, tmp_path: Path) -> Programs:
    """Programs that the daemon finds before the real ones."""
    programs = Programs(tmp_path / "programs")
    daemon.__exit__()
    daemon.start(words=[*own.words, "env", f"PATH={programs.path}"])
    return programs


# Two disks and an enclosure, as sysfs shows them: block device, type, sectors, name.
_DEVICES = {
    "0:0:0": ("sda", "0", 2048, "naa.5000c50015ea71aa"),
    "0:1:2": ("sdb", "0", 4096, ""),
    "0:2:0": ("", "13", 0, ""),
}


def scsi(own: OwnHost, folder: Path, host: int = 3) -> None:
    """Put a recorded tree in the place of /sys."""
    sys = folder / "sys"
    for address, (name, kind, sectors, wwid) in _DEVICES.items():
        device = sys / f"bus/scsi/devices/{host}:{address}"
        (device / "block" / name).mkdir(parents=True)
        (device / "type").write_text(f"{kind}\n")
        if name:
            (device / "block" / name / "size").write_text(f"{sectors}\n")
        if wwid:
            (device / "wwid").write_text(f"{wwid}\n")
    at = sys / f"devices/pci0000:00/0000:00:1f.2/host{host}/scsi_host/host{host}"
    at.mkdir(parents=True)
    (at / "unique_id").write_text("1\n")
    (at / "scan").write_text("")
    (sys / "class/scsi_host").mkdir(parents=True)
    (sys / f"class/scsi_host/host{host}").symlink_to(at)
    own.run("mount", "--bind", sys, "/sys")


def test_a_scsi_host_by_name_and_by_address(daemon: RunningDaemon, own: OwnHost, tmp_path: Path) -> None:
    scsi(own, tmp_path)
    define(daemon, tmp_path, _scsi("p", "<adapter type='scsi_host' name='scsi_host3'/>"))
    assert "started" in daemon.virsh("pool-start", "p")
    lines = [line.split() for line in daemon.virsh("vol-list", "p", "--details").splitlines()[2:]]
    assert [line[:2] for line in lines] == [["unit:0:0:0", "/dev/sda"], ["unit:0:1:2", "/dev/sdb"]]
    assert daemon.virsh("vol-key", "unit:0:0:0", "p") == "naa.5000c50015ea71aa"
    assert "1.00 MiB" in daemon.virsh("vol-info", "unit:0:0:0", "p")
    assert own.run("cat", "/sys/class/scsi_host/host3/scan") == "- - -"
    assert "does not support volume creation" in daemon.virsh("vol-create-as", "p", "new", "1M")
    assert "does not support vol deletion" in daemon.virsh("vol-delete", "unit:0:0:0", "p")
    address = "<parentaddr unique_id='1'><address domain='0x0000' bus='0x00' slot='0x1f' function='0x2'/></parentaddr>"
    define(daemon, tmp_path, _scsi("q", f"<adapter type='scsi_host'>{address}</adapter>"))
    assert "started" in daemon.virsh("pool-start", "q")
    assert "unit:0:1:2" in daemon.virsh("vol-list", "q")
    define(daemon, tmp_path, _scsi("r", "<adapter type='scsi_host' name='host9'/>"))
    assert "SCSI host 'host9' is not there" in daemon.virsh("pool-start", "r")
    # The host is unplugged.
    (tmp_path / "sys/class/scsi_host/host3").unlink()
    assert "inaccessible" in daemon.virsh("pool-info", "p")
    assert "is gone" in daemon.virsh("pool-refresh", "p")
    assert "destroyed" in daemon.virsh("pool-destroy", "p")


def _scsi(name: str, adapter: str) -> str:
    return f"<pool type='scsi'><name>{name}</name><source>{adapter}</source><target><path>/dev</path></target></pool>"


_ISCSI = """<pool type='iscsi'><name>p</name>
<source><host name='10.0.0.1' port='3261'/><device path='iqn.2026-01.test:disks'/>
<auth type='chap' username='me'><secret uuid='{secret}'/></auth></source>
<target><path>/dev</path></target></pool>"""
_SESSION = "tcp: [7] 10.0.0.1:3261,1 iqn.2026-01.test:disks (non-flash)"
_NODE = "--mode node --portal 10.0.0.1:3261 --targetname iqn.2026-01.test:disks"


def test_an_iscsi_target_is_logged_in_to_and_out_of(
    daemon: RunningDaemon, own: OwnHost, programs: Programs, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.xml"
    text = "<secret><usage type='iscsi'><target>disks</target></usage></secret>"
    secret.write_text(text)
    uuid = daemon.virsh("secret-define", str(secret)).split()[1]
    daemon.virsh("secret-set-value", uuid, "c2VjcmV0")
    scsi(own, tmp_path, host=9)
    session = tmp_path / "sys/class/iscsi_session"
    session.mkdir(parents=True)
    real = tmp_path / "sys/devices/platform/host9/session7/iscsi_session/session7"
    real.mkdir(parents=True)
    (session / "session7").symlink_to(real)

    none = "iscsiadm: No active sessions."
    programs.say("iscsiadm", "--mode session", do=f"echo '{none}' >&2", status=21)
    portal = "--mode discovery --type sendtargets --portal 10.0.0.1:3261"
    programs.say("iscsiadm", portal, "10.0.0.1:3261,1 iqn.2026-01.test:disks")
    for name, value in (("authmethod", "CHAP"), ("username", "me"), ("password", "secret")):
        programs.say("iscsiadm", f"{_NODE} --op update --name node.session.auth.{name} --value {value}")
    began = programs.begin_to_say("iscsiadm", "--mode session", _SESSION)
    programs.say("iscsiadm", f"{_NODE} --login", do=began)
    programs.say("iscsiadm", "--mode session --sid 7 --rescan")
    define(daemon, tmp_path, _ISCSI.format(secret=uuid))
    assert "started" in daemon.virsh("pool-start", "p")
    assert f"iscsiadm {_NODE} --login" in programs.called()
    assert "unit:0:1:2" in daemon.virsh("vol-list", "p")

    # The server goes away, and with it the session.
    programs.say("iscsiadm", "--mode session", do=f"echo '{none}' >&2", status=21)
    assert "there is no session" in daemon.virsh("pool-refresh", "p")
    programs.say("iscsiadm", "--mode session", _SESSION)
    programs.say("iscsiadm", f"{_NODE} --logout")
    assert "destroyed" in daemon.virsh("pool-destroy", "p")
    assert f"iscsiadm {_NODE} --logout" in programs.called()

    # A session that was there before stays.
    assert "started" in daemon.virsh("pool-start", "p")
    assert "destroyed" in daemon.virsh("pool-destroy", "p")
    assert not [line for line in programs.called() if "--log" in line]


def test_multipath_devices(daemon: RunningDaemon, own: OwnHost, programs: Programs, tmp_path: Path) -> None:
    own_dev(own)
    own.run("mkdir", "/dev/mapper")
    own.run("ln", "-s", blank(tmp_path / "disk", 8), "/dev/mapper/mpatha")
    programs.say("dmsetup", "ls --target multipath", "mpatha\t(253:0)")
    define(daemon, tmp_path, "<pool type='mpath'><name>p</name><target><path>/dev/mapper</path></target></pool>")
    assert "started" in daemon.virsh("pool-start", "p")
    assert daemon.virsh("vol-path", "dm-0", "p") == "/dev/mapper/mpatha"
    assert "8.00 MiB" in daemon.virsh("pool-info", "p")
    programs.say("dmsetup", "ls --target multipath", "No devices found")
    daemon.virsh("pool-refresh", "p")
    assert "dm-0" not in daemon.virsh("vol-list", "p")


_GLUSTER = """<pool type='gluster'><name>p</name><source><name>vol0</name><host name='server'/><dir path='/images'/>
</source></pool>"""


def test_a_folder_of_a_gluster_volume(daemon: RunningDaemon, own: OwnHost, programs: Programs, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "images").mkdir(parents=True)
    define(daemon, tmp_path, _GLUSTER)
    uuid = daemon.virsh("pool-uuid", "p")
    place = tmp_path / f"root/run/storage/{uuid}.gluster"
    options = "-o nodev,nosuid,noexec,direct-io-mode=1"
    programs.say("mount", f"-t glusterfs {options} server:/vol0 {place}", do=f"/bin/mount --bind {volume} {place}")
    assert "started" in daemon.virsh("pool-start", "p")
    assert "created" in daemon.virsh("vol-create-as", "p", "a.qcow2", "8M", "--format", "qcow2")
    assert daemon.virsh("vol-path", "a.qcow2", "p") == "gluster://server/vol0/images/a.qcow2"
    assert "network" in daemon.virsh("vol-info", "a.qcow2", "--pool", "p")
    assert (volume / "images/a.qcow2").stat().st_size > 0
    assert "changed to 16M" in daemon.virsh("vol-resize", "a.qcow2", "16M", "--pool", "p")
    assert "16.00 MiB" in daemon.virsh("vol-info", "a.qcow2", "--pool", "p")
    assert "doesn't support volume wiping" in daemon.virsh("vol-wipe", "a.qcow2", "--pool", "p")
    assert "deleted" in daemon.virsh("vol-delete", "a.qcow2", "p")
    assert "destroyed" in daemon.virsh("pool-destroy", "p")
    assert str(place) not in own.run("cat", "/proc/mounts")
    assert not place.exists()

    found = "<volInfo><volumes><volume><name>vol0</name></volume></volumes></volInfo>"
    answer = f"<cliOutput><opRet>0</opRet>{found}</cliOutput>"
    programs.say("gluster", "--mode=script --xml volume info --remote-host=server", answer)
    assert "<name>vol0</name>" in daemon.virsh("find-storage-pool-sources-as", "gluster", "server")


def test_block_devices_of_zfs(daemon: RunningDaemon, own: OwnHost, programs: Programs, tmp_path: Path) -> None:
    own_dev(own)
    own.run("mkdir", "-p", "/dev/zvol/tank")
    programs.say("zpool", "list -H -o name tank", "tank")
    facts = "get -H -p -o name,property,value"
    programs.say("zfs", f"{facts} used,available tank", "tank\tused\t1048576\ntank\tavailable\t9437184")
    programs.say("zfs", "list -H -r -t volume -o name tank")
    define(daemon, tmp_path, "<pool type='zfs'><name>p</name><source><name>tank</name></source></pool>")
    assert "started" in daemon.virsh("pool-start", "p")
    assert "10.00 MiB" in daemon.virsh("pool-info", "p")

    device = "/dev/zvol/tank/v"
    programs.say("zfs", "create -s -o refreservation=1024K -V 8192K tank/v", do=f"truncate -s 8M {device}")
    programs.say("zfs", f"{facts} volsize,referenced tank/v", "tank/v\tvolsize\t8388608\ntank/v\treferenced\t1048576")
    assert "created" in daemon.virsh("vol-create-as", "p", "v", "8M", "--allocation", "1M")
    assert daemon.virsh("vol-path", "v", "p") == device
    programs.say("zfs", "set volsize=16384K tank/v")
    assert "changed to 16M" in daemon.virsh("vol-resize", "v", "16M", "--pool", "p")

    # Its device does not appear: the volume is removed again.
    programs.say("zfs", "create -V 1024K tank/w")
    programs.say("zfs", "destroy tank/w")
    programs.called()
    assert "did not appear" in daemon.virsh("vol-create-as", "p", "w", "1M")
    assert programs.called()[-1] == "zfs destroy tank/w"
    assert "no name of a volume" in daemon.virsh("vol-create-as", "p", "--name=-w", "1M")
    programs.say("zfs", "destroy tank/v")
    assert "deleted" in daemon.virsh("vol-delete", "v", "p")
    assert "destroyed" in daemon.virsh("pool-destroy", "p")
    assert not [line for line in programs.called() if "export" in line], "it was there before"


def test_a_cluster_of_virtuozzo(daemon: RunningDaemon, own: OwnHost, programs: Programs, tmp_path: Path) -> None:
    place = tmp_path / "place"
    text = f"<source><name>cluster</name></source><target><path>{place}</path></target>"
    define(daemon, tmp_path, f"<pool type='vstorage'><name>p</name>{text}</pool>")
    daemon.virsh("pool-build", "p")
    programs.say(
        "vstorage-mount", f"-c cluster {place} -m 0700 -g root -u root", status=1, do="echo 'no such cluster' >&2"
    )
    assert "vstorage-mount failed: no such cluster" in daemon.virsh("pool-start", "p")
    assert "inactive" in daemon.virsh("pool-info", "p")
