"""Secrets: kept by virsh, encrypted at rest, and what opens the disks of guests."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import RunningDaemon

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(not shutil.which("virsh"), reason="asks with virsh, of the package libvirt-clients"),
]

UUID = "22e1353d-c27e-4d6d-bf15-465053e6ba0b"
SECRET = """<secret ephemeral='{}' private='{}'><uuid>{}</uuid>
<usage type='volume'><volume>{}</volume></usage></secret>"""
GUEST = """<domain type='qemu'><name>locked</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64'>hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{}</devices></domain>"""
DISK = """<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{}'>
<encryption format='luks'><secret type='passphrase' uuid='{}'/></encryption></source>
<target dev='{}' bus='{}'/></disk>"""
WORD = b"open sesame"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[RunningDaemon]:
    with RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path / 'root'}") as running:
        yield running
        for name in running.virsh("list", "--name").split():
            running.virsh("destroy", name)


def define(
    daemon: RunningDaemon, folder: Path, uuid: str, use: str, *, ephemeral: str = "no", private: str = "no"
) -> str:
    path = folder / "secret.xml"
    path.write_text(SECRET.format(ephemeral, private, uuid, use))
    return daemon.virsh("secret-define", str(path))


def locked_image(path: Path) -> Path:
    # A hash that takes its time: qemu-img measures it, and fails where that takes less than the clock's tick.
    secret = f"secret,id=s,data={WORD.decode()}"
    options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=100,encrypt.hash-alg=sha512"
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "--object", secret, "-o", options, str(path), "8M"]
    subprocess.run(argv, check=True)
    return path


def test_values_are_kept_encrypted_and_private_ones_are_told_nobody(daemon: RunningDaemon, tmp_path: Path) -> None:
    word = base64.b64encode(WORD).decode()
    assert "created" in define(daemon, tmp_path, UUID, "/a")
    assert "has no value" in daemon.virsh("secret-get-value", UUID)
    daemon.virsh("secret-set-value", UUID, "--base64", word)
    assert daemon.virsh("secret-get-value", UUID) == word
    assert "already defined for use with /a" in define(daemon, tmp_path, UUID.replace("2", "3"), "/a")
    private = UUID.replace("2", "4")
    define(daemon, tmp_path, private, "/b", ephemeral="yes", private="yes")
    daemon.virsh("secret-set-value", private, "--base64", word)
    assert "secret is private" in daemon.virsh("secret-get-value", private)
    assert [line.split()[0] for line in daemon.virsh("secret-list").splitlines()[2:]] == [UUID, private]
    written = [path for path in (tmp_path / "root").rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if WORD in path.read_bytes()]

    daemon.signal(9)
    daemon.wait()
    daemon.start()
    assert daemon.virsh("secret-get-value", UUID) == word
    daemon.virsh("secret-undefine", UUID)
    assert "is not there" in daemon.virsh("secret-get-value", UUID)


def test_a_guest_gets_the_passphrases_of_its_disks(daemon: RunningDaemon, tmp_path: Path) -> None:
    disk = DISK.format(locked_image(tmp_path / "one.qcow2"), UUID, "vda", "virtio")
    (tmp_path / "guest.xml").write_text(GUEST.format(disk))
    daemon.virsh("define", str(tmp_path / "guest.xml"))
    assert "is not there" in daemon.virsh("start", "locked")
    define(daemon, tmp_path, UUID, "/one", private="yes")
    daemon.virsh("secret-set-value", UUID, "--base64", base64.b64encode(b"wrong").decode())
    assert "Invalid password" in daemon.virsh("start", "locked")
    daemon.virsh("secret-set-value", UUID, "--base64", base64.b64encode(WORD).decode())
    assert "started" in daemon.virsh("start", "locked")
    stick = tmp_path / "stick.xml"
    stick.write_text(DISK.format(locked_image(tmp_path / "two.qcow2"), UUID, "sda", "usb"))
    assert "attached" in daemon.virsh("attach-device", "locked", str(stick))
    assert daemon.virsh("domblklist", "locked").count(".qcow2") == 2
    told = subprocess.run(["ps", "-eo", "args"], capture_output=True, check=True).stdout
    assert WORD not in told


VOLUME = """<volume><name>{}</name><capacity unit='MiB'>8</capacity><target><format type='{}'/>
<encryption format='luks'><secret type='passphrase' uuid='{}'/>
<cipher name='aes' size='256' mode='xts' hash='sha512'/><ivgen name='plain64'/></encryption></target></volume>"""


def test_a_volume_is_encrypted_as_it_is_made(daemon: RunningDaemon, tmp_path: Path) -> None:
    folder, document = tmp_path / "pool", tmp_path / "volume.xml"
    daemon.virsh("pool-create-as", "p", "dir", "--target", str(folder), "--build")
    document.write_text(VOLUME.format("one", "qcow2", UUID))
    assert "is not there" in daemon.virsh("vol-create", "p", str(document))
    define(daemon, tmp_path, UUID, "/one", private="yes")
    daemon.virsh("secret-set-value", UUID, "--base64", base64.b64encode(WORD).decode())
    for name, kind in (("one", "qcow2"), ("two", "raw")):
        document.write_text(VOLUME.format(name, kind, UUID))
        assert "created" in daemon.virsh("vol-create", "p", str(document))
    assert (folder / "two").read_bytes()[:4] == b"LUKS"
    (tmp_path / "guest.xml").write_text(GUEST.format(DISK.format(folder / "one", UUID, "vda", "virtio")))
    assert "created" in daemon.virsh("create", str(tmp_path / "guest.xml"))
    left = [path for path in (tmp_path / "root" / "run" / "storage").rglob("*") if path.is_file()]
    assert not [path for path in left if WORD in path.read_bytes()], "passphrases are in no file any more"


POOL = "<pool type='dir'><name>p</name><target><path>{}</path></target></pool>"


def test_virsh_hears_what_happens_to_pools_and_secrets(daemon: RunningDaemon, tmp_path: Path) -> None:
    (tmp_path / "pool.xml").write_text(POOL.format(tmp_path / "images"))
    uri = f"qemu+unix:///system?socket={daemon.run / 'libvirt-sock'}"
    words = {"pool-event": "lifecycle", "secret-event": "value-changed"}
    ears = {
        word: subprocess.Popen(
            ["virsh", "-c", uri, word, "--event", kind, "--timeout", "30"], stdout=subprocess.PIPE, text=True
        )
        for word, kind in words.items()
    }
    define(daemon, tmp_path, UUID, "/a")
    while any(ear.poll() is None for ear in ears.values()):  # whoever is not registered yet hears of the next one
        daemon.virsh("pool-define", str(tmp_path / "pool.xml"))
        daemon.virsh("pool-undefine", "p")
        daemon.virsh("secret-set-value", UUID, "--base64", base64.b64encode(WORD).decode())
    heard = {word: ear.communicate()[0] for word, ear in ears.items()}
    assert re.search(r"event 'lifecycle' for storage pool p: (Defined|Undefined)", heard["pool-event"]), heard
    assert f"event 'value-changed' for secret {UUID}" in heard["secret-event"], heard
