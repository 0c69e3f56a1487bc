"""virsh asks a daemon for the devices of its host, which in its mount namespace is a made-up one."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from daemons import RunningDaemon

from hardware import MDEV, server

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root rights for its namespaces"),
    pytest.mark.skipif(not shutil.which("virsh"), reason="needs virsh (package libvirt-clients)"),
]

_START = """\
set -e
mount --make-rprivate /
mount --bind {host}/sys /sys
mkdir -p /run/udev /etc/mdevctl.d
mount --bind {host}/run/udev /run/udev
mount --bind {host}/mdevctl.d /etc/mdevctl.d
exec "$@"
"""
NAME = f"mdev_{MDEV.replace('-', '_')}_0000_00_02_0"
DEVICE = f"""<device><parent>pci_0000_00_02_0</parent>
<capability type='mdev'><type id='i915-GVTg_V5_4'/><uuid>{MDEV}</uuid></capability></device>"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    folder = tmp_path_factory.mktemp("nodedev")
    host = folder / "host"
    server(host)
    (host / "mdevctl.d").mkdir()
    daemon = RunningDaemon(folder, uri=f"qemu:///embed?root={folder}")
    daemon.start(words=["unshare", "-n", "-m", "sh", "-c", _START.format(host=host), "sh"])
    try:
        yield daemon
    finally:
        daemon.__exit__()


def test_virsh_shows_devices_and_their_tree(daemon: RunningDaemon) -> None:
    assert daemon.virsh("nodedev-list", "--cap", "vports,drm").split() == ["drm_card0", "scsi_host5"]
    tree = daemon.virsh("nodedev-list", "--tree").splitlines()
    branch = tree.index("+- pci_0000_00_14_0")
    assert [line.lstrip("| ") for line in tree[branch : branch + 7]] == [
        *("+- pci_0000_00_14_0", "", "+- usb_usb1", "", "+- usb_1_1", "", "+- usb_1_1_1_0"),
    ]
    assert "<serial>Samsung_SSD_850_S2R</serial>" in daemon.virsh("nodedev-dumpxml", "block_sda_Samsung_SSD_850_S2R")
    assert "<name>scsi_host5</name>" in daemon.virsh("nodedev-dumpxml", "2000000000000001,2100000000000001")
    info = daemon.virsh("nodedev-info", "pci_0000_01_00_0").split()
    assert info[1::2] == ["pci_0000_01_00_0", "pci_0000_00_01_0", "yes", "no", "no"]


def test_virsh_defines_a_mediated_device(daemon: RunningDaemon, tmp_path: Path) -> None:
    (tmp_path / "new.xml").write_text(DEVICE)
    assert f"Node device '{NAME}' defined" in daemon.virsh("nodedev-define", str(tmp_path / "new.xml"))
    assert "marked as autostarted" in daemon.virsh("nodedev-autostart", NAME)
    assert daemon.virsh("nodedev-list", "--inactive").split() == [NAME]
    assert daemon.virsh("nodedev-info", NAME).split()[1::2] == [NAME, "pci_0000_00_02_0", "no", "yes", "yes"]
    assert f"Undefined node device '{NAME}'" in daemon.virsh("nodedev-undefine", NAME)
    assert daemon.virsh("nodedev-list", "--inactive") == ""


def test_virsh_hears_of_definitions(daemon: RunningDaemon, tmp_path: Path) -> None:
    (tmp_path / "new.xml").write_text(DEVICE)
    uri = f"qemu+unix:///system?socket={daemon.run}/libvirt-sock"
    words = ["virsh", "-c", uri, "nodedev-event", "--event", "lifecycle", "--loop", "--timeout", "20"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as listener:
        assert listener.stdout is not None
        deadline, heard = time.monotonic() + 20, ""
        os.set_blocking(listener.stdout.fileno(), False)
        while not all(f"node device {NAME}: {word}" in heard for word in ("Defined", "Undefined")):
            assert time.monotonic() < deadline, heard
            daemon.virsh("nodedev-define", str(tmp_path / "new.xml"))
            time.sleep(0.2)  # what is undone at once is nothing to tell
            daemon.virsh("nodedev-undefine", NAME)
            time.sleep(0.2)
            with suppress(BlockingIOError):
                heard += os.read(listener.stdout.fileno(), 65536).decode()
        listener.terminate()


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("nodedev-dumpxml nothing", "no node device 'nothing'"),
        ("nodedev-detach pci_0000_01_00_0 --driver own", "invalid argument: unknown driver name 'own'"),
        ("nodedev-detach usb_1_1", "invalid argument: device usb_1_1 is not a PCI device"),
        ("nodedev-reset pci_0000_00_14_0", "Unable to reset PCI device 0000:00:14.0: no FLR"),
        ("nodedev-destroy pci_0000_01_00_0", "Unsupported device type"),
        ("nodedev-start pci_0000_01_00_0", "Requested operation is not valid: Device is already active"),
        ("nodedev-undefine pci_0000_01_00_0", "Requested operation is not valid: Node device"),
    ],
)
def test_virsh_tells_why_not(daemon: RunningDaemon, words: str, refusal: str) -> None:
    assert refusal in daemon.virsh(*words.split())
