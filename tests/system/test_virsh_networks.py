"""What virsh says of networks: the same of a vmherd and of a libvirtd."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from daemons import RunningDaemon, virsh
from namespaces import Host, missing

from support.libvirtd import Libvirtd

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(missing("dnsmasq", "nft", "virsh")), reason=missing("dnsmasq", "nft", "virsh")),
]

NETWORK = """
<network>
  <name>blue</name>
  <uuid>11111111-1111-4111-8111-111111111111</uuid>
  <forward mode='nat'/>
  <bridge name='vhblue'/>
  <mac address='52:54:00:12:34:56'/>
  <ip address='10.77.1.1' prefix='24'>
    <dhcp>
      <range start='10.77.1.100' end='10.77.1.200'/>
      <host mac='52:54:00:00:00:0a' name='fixed' ip='10.77.1.10'/>
    </dhcp>
  </ip>
  <portgroup name='slow'><bandwidth><inbound average='100'/></bandwidth></portgroup>
</network>
"""
PORT = """
<networkport>
  <uuid>22222222-2222-4222-8222-222222222222</uuid>
  <owner><name>web</name><uuid>33333333-3333-4333-8333-333333333333</uuid></owner>
  <mac address='52:54:00:00:00:0b'/>
</networkport>
"""
WORDS = """\
net-list --all
net-define {folder}/blue.xml
net-list
net-list --all
net-list --inactive --name
net-info blue
net-dumpxml blue
net-uuid blue
net-name 11111111-1111-4111-8111-111111111111
net-autostart blue
net-info blue
net-autostart blue --disable
net-dhcp-leases blue
net-destroy blue
net-start blue
net-start blue
net-list --persistent
net-list --transient
net-info blue
net-dumpxml blue
net-dumpxml blue --inactive
net-dhcp-leases blue
net-update blue add ip-dhcp-host "<host mac='52:54:00:00:00:0c' name='third' ip='10.77.1.12'/>" --live --config
net-update blue add ip-dhcp-host "<host mac='52:54:00:00:00:0c' name='third' ip='10.77.1.12'/>" --live
net-update blue modify ip-dhcp-host "<host mac='52:54:00:00:00:0c' name='third' ip='10.77.1.13'/>" --config
net-update blue delete ip-dhcp-range "<range start='10.77.1.100' end='10.77.1.200'/>" --config
net-update blue add dns-txt "<txt name='a' value='b'/>" --current
net-update blue add portgroup "<portgroup name='fast'><bandwidth><inbound average='9'/></bandwidth></portgroup>" --live
net-update blue modify bridge "<bridge name='x'/>"
net-dumpxml blue
net-dumpxml blue --inactive
net-port-list blue
net-port-create blue {folder}/port.xml
net-port-list blue
net-port-dumpxml blue 22222222-2222-4222-8222-222222222222
net-port-delete blue 22222222-2222-4222-8222-222222222222
net-port-list blue
net-undefine blue
net-info blue
net-autostart blue
net-destroy blue
net-list --all
net-create {folder}/blue.xml
net-info blue
net-destroy blue
net-list --all --name
"""


def answers(ask: Callable[..., str], folder: Path) -> dict[str, str]:
    """What each line of WORDS brings; of complaints, whose and which they are."""
    found = {}
    for number, line in enumerate(WORDS.format(folder=folder).splitlines()):
        told = re.sub(r"[ \t]+", " ", ask(*shlex.split(line)))
        found[f"{number}: {line}"] = re.sub(r"(?m)^(error: [^:]*: ).*", r"\1...", told)
    return found


def test_virsh_says_the_same_of_both(own: Host, libvirtd: Libvirtd, tmp_path: Path) -> None:
    (tmp_path / "blue.xml").write_text(NETWORK)
    (tmp_path / "port.xml").write_text(PORT)
    with RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path}/host", words=own.words) as daemon:
        place = f"qemu+unix:///system?socket={daemon.run}/libvirt-sock"
        ours = answers(lambda *words: virsh(place, *words), tmp_path)
    theirs = answers(lambda *words: virsh(libvirtd.uri(), *words), tmp_path)
    assert ours == theirs
    assert "vhblue" not in own.run("ip", "link")
    assert not [line for line in own.processes().values() if "dnsmasq" in line]
