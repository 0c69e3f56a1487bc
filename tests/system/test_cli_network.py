"""Networks on the command line, through a daemon, in a host of one's own; virsh hears of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import RunningDaemon
from namespaces import Host, missing

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(missing("dnsmasq", "nft", "busybox")), reason=missing("dnsmasq", "nft", "busybox")),
]


class Line:
    """``vmherd`` on a daemon that runs in a host of its own."""

    def __init__(self, daemon: RunningDaemon, own: Host) -> None:
        self.own = own
        self.uri = f"qemu+unix:///system?socket={daemon.run / 'libvirt-sock'}"

    def __call__(self, *words: str) -> str:
        """What a command prints."""
        return self.own.run(sys.executable, "-m", "vmherd", "-c", self.uri, *words)

    def refused(self, *words: str) -> str:
        """What a command that fails complains about."""
        return self.own.run(sys.executable, "-m", "vmherd", "-c", self.uri, *words, check=False)


@pytest.fixture
def vmherd(tmp_path: Path, own: Host) -> Iterator[Line]:
    daemon = RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path / 'root'}")
    try:
        daemon.start(words=own.words)
        yield Line(daemon, own)
    finally:
        daemon.__exit__()


def test_a_network_is_made_used_changed_and_destroyed(vmherd: Line) -> None:
    made = vmherd("network", "create", "lab", "--nat", "10.0.5.0/24", "--domain", "lab.test")
    assert made == "network lab is active at 10.0.5.1/24\n"
    assert vmherd("switch", "create", "public") == "network public is active at 192.168.123.1/24\n"
    (lab, public) = json.loads(vmherd("network", "list", "--json"))
    assert (lab["name"], lab["active"], lab["autostart"], lab["forward"]) == ("lab", True, True, "nat")
    assert public["addresses"] == ["192.168.123.1/24"]
    vmherd("network", "reserve", "lab", "52:54:00:00:00:01", "10.0.5.20", "--name", "web")
    guest = vmherd.own.guest("one", lab["bridge"], "52:54:00:00:00:01")
    guest.run("busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-s", "/bin/true")
    (lease,) = json.loads(vmherd("network", "leases", "--json"))
    assert (lease["network"], lease["address"], lease["hostname"]) == ("lab", "10.0.5.20", "web")
    assert "when it starts the next time" in vmherd("network", "address", "lab", "10.0.7.1/24")
    vmherd("network", "stop", "lab")
    vmherd("network", "start", "lab")
    assert "10.0.7.1/24" in vmherd("network", "info", "lab")
    assert "give --yes" in vmherd.refused("network", "destroy", "lab")
    vmherd("network", "destroy", "lab", "public", "--yes")
    assert vmherd("network", "list", "--name") == ""


def test_a_network_that_cannot_start_is_not_left_defined(vmherd: Line) -> None:
    vmherd.own.run("ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1")
    vmherd.own.run("ip", "addr", "add", "10.0.5.9/24", "dev", "wire0")
    vmherd.own.run("ip", "link", "set", "wire0", "up")
    assert "error:" in vmherd.refused("network", "create", "lab", "--nat", "10.0.5.0/24")
    assert vmherd("network", "list", "--name") == ""


CARD = """<interface type='ethernet' name='wire0'><start mode='onboot'/>
<protocol family='ipv4'><ip address='10.0.9.1' prefix='24'/></protocol></interface>"""


def test_a_card_gets_a_bridge_that_takes_over_its_addresses(vmherd: Line, tmp_path: Path) -> None:
    vmherd.own.run("ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1")
    (tmp_path / "card.xml").write_text(CARD)
    vmherd("interface", "define", str(tmp_path / "card.xml"))
    vmherd("interface", "start", "wire0")
    vmherd("interface", "begin")
    assert vmherd("interface", "bridge", "wire0", "br9", "--no-stp") == "wire0 is in bridge br9\n"
    assert "10.0.9.1/24" in vmherd.own.run("ip", "addr", "show", "br9")
    assert "master br9" in vmherd.own.run("ip", "link", "show", "wire0")
    vmherd("interface", "rollback")
    assert "10.0.9.1/24" in vmherd.own.run("ip", "addr", "show", "wire0")
    assert "br9" not in vmherd.own.run("ip", "link")
    vmherd("interface", "bridge", "wire0", "br9")
    assert vmherd("interface", "unbridge", "br9") == "wire0 is in no bridge any more\n"
    assert "10.0.9.1/24" in vmherd.own.run("ip", "addr", "show", "wire0")


@pytest.mark.skipif(not shutil.which("virsh"), reason="asks with virsh, of the package libvirt-clients")
def test_virsh_and_vmherd_hear_what_happens(vmherd: Line) -> None:
    virsh = ["virsh", "-c", vmherd.uri, "net-event", "--loop", "--event", "lifecycle", "--timeout", "20"]
    ours = [sys.executable, "-m", "vmherd", "-c", vmherd.uri, "network", "event", "--json", "--timeout", "20"]
    ears = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for words in (virsh, ours)]
    try:
        heard = ["", ""]
        while not all(heard):  # whoever is not registered yet hears of the next one
            vmherd("network", "create", "heard", "--isolated", "--no-autostart")
            vmherd("network", "destroy", "heard", "--yes")
            for place, ear in enumerate(ears):
                heard[place] = heard[place] or _line(ear)
    finally:
        for ear in ears:
            ear.kill()
            ear.wait()
    assert "event 'lifecycle' for network heard" in heard[0]
    assert json.loads(heard[1])["name"] == "heard"


def _line(ear: subprocess.Popen[str]) -> str:
    """What one has said by now."""
    import select

    assert ear.stdout is not None
    return ear.stdout.readline() if select.select([ear.stdout], [], [], 0.2)[0] else ""
