"""Documents of host interfaces and of secrets: no field is forgotten, and nonsense is refused."""

from __future__ import annotations

import pytest
from tried import untried

from vmherd.conf.interface import Interface, parse_interface
from vmherd.conf.secret import Secret, parse_secret
from vmherd.errors import DocumentError
from vmherd.util.xmlmodel import render

BRIDGE = """<interface type='bridge' name='br0'><start mode='onboot'/><mtu size='1500'/>
  <protocol family='ipv4'><dhcp peerdns='no'/><ip address='10.0.0.1' prefix='8'/><route gateway='10.0.0.2'/></protocol>
  <protocol family='ipv6'><autoconf/></protocol><link speed='100' state='up'/><mac address='52:54:00:00:00:01'/>
  <bridge stp='on' delay='0.5'>
    <interface type='ethernet' name='eth0'><mac address='52:54:00:00:00:02'/></interface>
    <interface type='vlan' name='eth1.4'><vlan tag='4'><interface name='eth1'/></vlan></interface>
    <interface type='bond' name='bond0'><bond><interface type='ethernet' name='eth2'/></bond></interface>
  </bridge></interface>"""
BOND = """<interface type='bond' name='bond0'><start mode='none'/><bond mode='802.3ad'>
  <miimon freq='1' downdelay='2' updelay='3' carrier='netif'/><arpmon interval='1' target='10.0.0.3' validate='all'/>
  <interface type='ethernet' name='eth0'/></bond></interface>"""
VLAN = """<interface type='vlan' name='eth0.7'><start mode='none'/>
  <vlan tag='7'><interface name='eth0'/></vlan></interface>"""
SECRETS = [
    "<secret ephemeral='yes' private='yes'><uuid>22e1353d-c27e-4d6d-bf15-465053e6ba0b</uuid>"
    "<description>d</description><usage type='volume'><volume>/v</volume></usage></secret>",
    "<secret><usage type='iscsi'><target>t</target></usage></secret>",
    "<secret><usage type='tls'><name>n</name></usage></secret>",
]


def test_every_field_is_tried_and_comes_back() -> None:
    interfaces = [parse_interface(text) for text in (BRIDGE, BOND, VLAN)]
    assert untried(Interface, interfaces) == set()
    assert [parse_interface(render(each)) for each in interfaces] == interfaces
    secrets = [parse_secret(text) for text in SECRETS]
    assert untried(Secret, secrets) == set()
    assert [parse_secret(render(each)) for each in secrets] == secrets


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("<interface type='bridge' name='b'><start mode='none'/></interface>", "interface/bridge"),
        ("<interface type='bond' name='b'><start mode='none'/><bond/></interface>", "interface/bond/interface"),
        ("<interface type='vlan' name='b'><start mode='none'/></interface>", "interface/vlan"),
        ("<interface type='ethernet' name='b'/>", "interface"),
        ("<interface type='tunnel' name='b'/>", "interface/@type"),
    ],
)
def test_interfaces_that_say_too_little_are_refused(text: str, place: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_interface(text)
    assert caught.value.place == place


@pytest.mark.parametrize(
    ("kind", "missing"), [("volume", "volume"), ("iscsi", "target"), ("ceph", "name"), ("vtpm", "name")]
)
def test_a_use_says_of_what(kind: str, missing: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_secret(f"<secret><usage type='{kind}'/></secret>")
    assert caught.value.place == f"secret/usage/{missing}"
