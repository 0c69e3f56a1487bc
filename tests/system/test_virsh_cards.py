"""What virsh says of guests' cards in networks: the same of a vmherd and of a libvirtd."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from daemons import RunningDaemon, virsh
from namespaces import Host, missing

from support.libvirtd import Libvirtd

TOOLS = ("dnsmasq", "nft", "virsh", "qemu-system-x86_64")
pytestmark = [
    pytest.mark.qemu,
    pytest.mark.root,
    pytest.mark.skipif(bool(missing(*TOOLS)), reason=missing(*TOOLS)),
]

NETWORKS = {
    "blue": "<network><name>blue</name><forward mode='nat'/><bridge name='vhblue'/>"
    "<ip address='10.77.1.1' prefix='24'/><portgroup name='fast'/></network>",
    "red": "<network><name>red</name><bridge name='vhred'/></network>",
    "lan": "<network><name>lan</name><forward mode='bridge'/><bridge name='vhlan'/></network>",
}
CARD = (
    "<interface type='network'><mac address='52:54:00:00:00:{}'/><source network='{}'{}/>"
    "{}<model type='virtio'/></interface>"
)
CARDS = {
    "away": CARD.format("02", "lan", "", "<link state='down'/>"),
    "gone": CARD.format("02", "none", "", ""),
    "else": CARD.format("77", "red", "", ""),
}
GUEST = f"""
<domain type='qemu'>
  <name>web</name>
  <uuid>33333333-3333-4333-8333-333333333333</uuid>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    {CARD.format("01", "blue", " portgroup='fast'", "<mtu size='1300'/>")}
    {CARD.format("02", "red", "", "")}
    {CARD.format("03", "lan", "", "")}
  </devices>
</domain>
"""
WORDS = """\
net-define {folder}/blue.xml
net-define {folder}/red.xml
net-define {folder}/lan.xml
define {folder}/web.xml
domiflist web
start web --paused
net-start blue
net-start red
net-start lan
start web --paused
domiflist web
domiflist web --inactive
net-port-list red
net-port-list lan
dumpxml web
dumpxml web --inactive
net-info blue
update-device web {folder}/away.xml
domif-getlink web 52:54:00:00:00:02
domiflist web
dumpxml web
net-port-list red
update-device web {folder}/gone.xml
domiflist web
attach-device web {folder}/else.xml
attach-interface web network none
domiflist web
net-port-list red
domifaddr web
domiftune web 52:54:00:00:00:01
net-destroy lan
domiflist web
destroy web
net-port-list red
net-port-list blue
start web
domiflist web
undefine web
"""


def answers(ask: Callable[..., str], folder: Path) -> dict[str, str]:
    """What each line of WORDS brings, without what is made up; of complaints, whose and which they are."""
    found = {}
    for number, line in enumerate(WORDS.format(folder=folder).splitlines()):
        told = ask(*shlex.split(line))
        if line.startswith("dumpxml"):
            told = "".join(re.findall(r"<interface.*?</interface>", told, re.S))
        told = re.sub(r"(?!33333333)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", told)
        told = re.sub(r"[ \t]+", " ", re.sub("-{9,}", "--", told))
        found[f"{number}: {line}"] = re.sub(r"(?m)^(error: [^:]*: ).*", r"\1...", told)
    return found


def test_virsh_says_the_same_of_both(own: Host, libvirtd: Libvirtd, tmp_path: Path) -> None:
    for name, text in {**NETWORKS, **CARDS, "web": GUEST}.items():
        (tmp_path / f"{name}.xml").write_text(text)
    bridge = ("ip", "link", "add", "vhlan", "type", "bridge")
    own.run(*bridge)
    subprocess.run([*libvirtd.inside(), *bridge], check=True)
    with RunningDaemon(tmp_path, uri=f"qemu:///embed?root={tmp_path}/host", words=own.words) as daemon:
        place = f"qemu+unix:///system?socket={daemon.run}/libvirt-sock"
        ours = answers(lambda *words: virsh(place, *words), tmp_path)
    theirs = answers(lambda *words: virsh(libvirtd.uri(), *words), tmp_path)
    for name in ("blue", "red"):
        virsh(libvirtd.uri(), "net-destroy", name)
    for name in NETWORKS:
        virsh(libvirtd.uri(), "net-undefine", name)
    assert ours == theirs
