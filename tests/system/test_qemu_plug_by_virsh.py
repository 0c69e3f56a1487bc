"""virsh plugs devices into guests of the daemon and takes them out, in its own words and with libvirt's errors."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import RunningDaemon
from parts import make_disk, processes

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(not shutil.which("virsh"), reason="asks with virsh, of the package libvirt-clients"),
]

GUEST = """
<domain type='qemu'>
  <name>web</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <controller type='usb' model='qemu-xhci'/>
    <disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk>
    <interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>
  </devices>
</domain>
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[RunningDaemon]:
    with RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path}") as daemon:
        (tmp_path / "web.xml").write_text(GUEST)
        assert "defined" in daemon.virsh("define", str(tmp_path / "web.xml"))
        assert "started" in daemon.virsh("start", "web", "--paused")
        try:
            yield daemon
        finally:
            daemon.virsh("destroy", "web")
    assert not [line for line in processes(tmp_path).values() if "qemu-system" in line]


def test_virsh_plugs_in_changes_and_takes_out(daemon: RunningDaemon, tmp_path: Path) -> None:
    virsh = daemon.virsh
    image, both = str(make_disk(tmp_path)), ("--live", "--config")
    stick = ("attach-disk", "web", image, "sda", "--targetbus", "usb", "--subdriver", "qcow2")
    assert virsh(*stick, *both) == "Disk attached successfully"
    assert image in virsh("domblklist", "web")
    assert image in virsh("dumpxml", "web", "--inactive")
    assert "target sda already exists" in virsh(*stick, "--live")
    assert virsh("detach-disk", "web", "sda", *both) == "Disk detached successfully"
    assert image not in virsh("dumpxml", "web") + virsh("dumpxml", "web", "--inactive")
    assert "No disk found whose source path or target is sda" in virsh("detach-disk", "web", "sda")
    assert "Successfully inserted media" in virsh("change-media", "web", "hdc", image, "--insert")
    assert image in virsh("domblklist", "web")
    assert "Successfully ejected media" in virsh("change-media", "web", "hdc", "--eject")
    card = tmp_path / "card.xml"
    card.write_text(
        "<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/>"
        "<link state='down'/></interface>"
    )
    assert virsh("update-device", "web", str(card), "--live") == "Device updated successfully"
    assert "<link state='down'/>" in virsh("dumpxml", "web")
    assert "<link" not in virsh("dumpxml", "web", "--inactive")
    assert virsh("domif-setlink", "web", "52:54:00:00:00:01", "up") == "Device updated successfully"
    assert "<link state='down'/>" not in virsh("dumpxml", "web")
    tablet = tmp_path / "tablet.xml"
    tablet.write_text("<input type='tablet' bus='usb'><alias name='ua-pen'/></input>")
    assert virsh("attach-device", "web", str(tablet)) == "Device attached successfully"
    assert "ua-pen" in virsh("dumpxml", "web")
    assert virsh("detach-device-alias", "web", "ua-pen") == "Device detach request sent successfully"
    tablet.write_text("<tpm><backend type='emulator'/></tpm>")
    assert "live attach of device 'tpm' is not supported" in virsh("attach-device", "web", str(tablet))
