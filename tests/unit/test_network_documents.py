"""Networks and their ports: what is filled in, refused and changed, that no field is forgotten, and dnsmasq's files."""

from __future__ import annotations

from pathlib import Path

import pytest
from tried import untried

from vmherd.conf.network import (
    Command,
    Network,
    NetworkPort,
    Section,
    complete,
    parse_network,
    parse_port,
    render,
    render_network,
    update,
)
from vmherd.conf.network.forward import ForwardInterface
from vmherd.errors import DocumentError, InvalidState, OperationUnsupported, Unsupported, VmherdError
from vmherd.resources.network import dnsmasq


def net(body: str, attributes: str = "") -> str:
    return f"<network {attributes}><name>n</name><uuid>81ff0d90-c91e-6742-64da-4a736edb9a9c</uuid>{body}</network>"


NAT = net(
    """<metadata><a:b xmlns:a="urn:u"/></metadata>
  <forward dev='eth0'><driver name='kvm'/><nat ipv6='yes'><address start='1.2.3.4' end='1.2.3.9'/>
    <port start='1024' end='2047'/></nat></forward>
  <bridge name='virbr0' zone='home' stp='off' delay='2' macTableManager='libvirt'/><mtu size='9000'/>
  <mac address='52:54:00:AA:bb:01'/><domain name='example.org' localOnly='yes'/>
  <dns enable='yes' forwardPlainNames='no'><forwarder domain='a.org' addr='8.8.8.8'/><forwarder addr='9.9.9.9'/>
    <forwarder domain='mine'/><txt name='t' value='v'/>
    <srv service='ldap' protocol='tcp' domain='d' target='x' port='389' priority='1' weight='2'/>
    <srv service='late' protocol='udp' target='y' weight='3'/><srv service='no' protocol='tcp' target='.'/>
    <host ip='10.0.0.9'><hostname>p</hostname><hostname/><hostname>q</hostname></host></dns>
  <vlan trunk='no'><tag id='5'/></vlan>
  <bandwidth><inbound average='1' peak='2' burst='3'/><outbound average='4294967296' peak='0'/></bandwidth>
  <port isolated='no'/>
  <ip address='10.1' netmask='255.0.0.0' localPtr='yes'><tftp root='/srv'/><dhcp>
    <range start='10.0.0.2' end='10.0.0.9'><lease expiry='3' unit='hours'/></range>
    <host mac='52:54:0:0:0:2' name='h' ip='10.0.0.5'><lease expiry='0' unit='hours'/></host>
    <host name='m' ip='10.0.0.6'/><host mac='52:54:0:0:0:3' ip='10.0.0.7'/>
    <bootp file='pxe' server='10.0.0.1'/></dhcp></ip>
  <ip family='ipv6' address='FC00::1' prefix='64'><tftp root='/srv6'/>
    <dhcp><host id='0:1' name='s' ip='fc00::5'/></dhcp></ip>
  <route family='ipv4' address='20.0.0.0' netmask='255.0.0.0' gateway='10.0.0.5' metric='3'/>
  <route family='ipv6' address='fd00::' prefix='64' gateway='fc00::5'/>
  <portgroup name='g' default='YES' trustGuestRxFilters='no'><vlan><tag id='1' nativeMode='tagged'/><tag id='2'/></vlan>
    <virtualport><parameters profileid='p'/></virtualport><bandwidth><inbound average='1'/></bandwidth></portgroup>
  <q:options xmlns:q='http://libvirt.org/schemas/network/dnsmasq/1.0'><q:option value='foo=bar'/></q:options>""",
    "ipv6='yes' trustGuestRxFilters='yes'",
)
DIRECT = net("""<forward mode='vepa'><interface dev='a'/><interface dev='b'/></forward>
  <virtualport type='802.1Qbg'><parameters managerid='0x10' typeid='1' typeidversion='2'
    instanceid='81ff0d90c91e674264da4a736edb9a9c'/></virtualport>""")
SWITCH = net("""<forward mode='bridge'/><bridge name='ovs0'/><virtualport type='openvswitch'><parameters
  interfaceid='81ff0d90-c91e-6742-64da-4a736edb9a9c' profileid='p'/></virtualport>""")
FUNCTIONS = net("<forward mode='hostdev' managed='Yes'><driver name='vfio'/><pf dev='eth0'/></forward>")
ADDRESSES = net("<forward mode='hostdev'><address type='pci' domain='1' bus='0x3' slot='4' function='5'/></forward>")
TEXTS = (NAT, DIRECT, SWITCH, FUNCTIONS, ADDRESSES, net(""))

PORT = """<networkport><uuid>5d744f21-ba4a-4d6e-bdb2-30a35ff3207d</uuid>
  <owner><name>g</name><uuid>d54df46f-1ab5-4a22-8618-4560ef5fac2c</uuid></owner><group>web</group>
  <mac address='52:54:00:7B:35:93'/><virtualport type='802.1Qbh'><parameters profileid='p'/></virtualport>
  <bandwidth classID='3'><inbound average='1' floor='2'/><outbound average='3'/></bandwidth>
  <vlan><tag id='1'/></vlan><port isolated='yes'/><rxfilters trustGuest='yes'/>{}</networkport>"""
PLUGS = (
    "",
    "<plug type='bridge' bridge='br0' macTableManager='libvirt'/>",
    "<plug type='direct' dev='eth0' mode='private'/>",
    "<plug type='hostdev-pci' managed='no'><driver name='vfio'/>"
    "<address domain='1' bus='2' slot='3' function='4'/></plug>",
)


def running() -> Network:
    """A network with two guests, one of them on a card that it found itself."""
    network = parse_network(FUNCTIONS)
    network.connections = 2
    assert network.forward
    network.forward.interfaces = [ForwardInterface(dev="vf0", connections=1)]
    return network


def test_every_field_is_tried() -> None:
    ports = [parse_port(PORT.format(plug)) for plug in PLUGS]
    documents = [*map(parse_network, TEXTS), running(), *ports]
    assert untried(Network, documents, "vmherd.conf.domain") == set()
    assert untried(NetworkPort, documents, "vmherd.conf.domain") == set()


def test_what_is_written_is_read_as_the_same() -> None:
    for text in TEXTS:
        network = parse_network(text)
        assert parse_network(render_network(network)) == network
    for plug in PLUGS:
        port = parse_port(PORT.format(plug))
        assert parse_port(render(port)) == port


def test_only_a_running_network_tells_of_its_guests() -> None:
    network = running()
    active = render_network(network)
    assert "connections='2'" in active
    assert "<interface dev='vf0' connections='1'/>" in active
    assert render_network(network, inactive=True) == render_network(parse_network(FUNCTIONS))
    assert parse_network(active.replace("<pf dev='eth0'/>", "")).connections == 0


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("", "<bridge stp='on' delay='0'/>"),
        ("<forward mode='none' dev='x'/>", "<bridge stp='on' delay='0'/>"),
        ("<forward mode='bridge' managed='yes'/><bridge name='a' delay='0'/>", "<bridge name='a'/>"),
        ("<forward mode='vepa' dev='a'/>", "<interface dev='a'/>"),
        ("<forward mode='vepa'><interface dev='a'/><pf dev='b'/></forward>", "<forward dev='a' mode='vepa'>"),
        ("<forward mode='hostdev'><pf dev='a'/></forward>", "<forward mode='hostdev' managed='no'>"),
        ("<vlan><tag id='1'/><tag id='2'/></vlan>", "<vlan trunk='yes'>"),
        ("<virtualport type='midonet'><parameters profileid='1'/></virtualport>", "<parameters/>"),
        ("<ip address='1.1.1.1'><dhcp><host name='a' ip='1.1.1.2'><lease expiry='9'/></host></dhcp></ip>", "'minutes'"),
        ("<ip address='10.0.0.1'/><route address='0.0.0.0' gateway='10.1.0.7'/>", "<route address='0.0.0.0' gateway"),
    ],
)
def test_what_follows_from_the_rest_is_filled_in(given: str, written: str) -> None:
    assert written in render_network(parse_network(net(given)))


@pytest.mark.parametrize(
    "given",
    [
        "<dns/><domain/><mac/><mtu size='0'/><bandwidth/><port/>",
        "<bridge stp='anything'/><metadata2/>",
        "<domain localOnly='yes'/>",
    ],
)
def test_what_says_nothing_is_dropped(given: str) -> None:
    assert parse_network(net(given)) == parse_network(net(""))


IP = "<ip address='10.0.0.1' prefix='24'>{}</ip>"
IP6 = "<ip family='ipv6' address='fc00::1' prefix='64'>{}</ip>"
_LONG = "a" * 483
REFUSED = {
    "forward": [
        "<forward/>",
        "<forward mode='open'/>",
        "<forward mode='x'/>",
        f"<forward mode='open' dev='a'/>{IP}",
        f"<forward><interface dev='a'/><interface dev='b'/></forward>{IP}",
        f"<forward><nat/><nat/></forward>{IP}",
        f"<forward><nat><port start='5' end='3'/></nat></forward>{IP}",
        f"<forward><nat><port start='5' end='65536'/></nat></forward>{IP}",
        f"<forward><nat><address start='1.2.3.4'/></nat></forward>{IP}",
        f"<forward><nat><address start='1.2.3.4' end='1.2.3.2'/></nat></forward>{IP}",
        f"<forward><nat><address start='fc00::1' end='fc00::2'/></nat></forward>{IP}",
        f"<forward mode='route'><nat ipv6='yes'/></forward>{IP}",
        "<forward mode='vepa'><interface/></forward>",
        "<forward mode='vepa' dev='a'><interface dev='b'/></forward>",
        "<forward mode='vepa'><interface dev='b'/><interface dev='b'/></forward>",
        "<forward mode='hostdev'><driver name='default'/></forward>",
        "<forward mode='hostdev'><pf dev='a'/><pf dev='b'/></forward>",
        "<forward mode='hostdev'><pf/></forward>",
        "<forward mode='hostdev' dev='q'><pf dev='a'/></forward>",
        "<forward mode='hostdev'><address/></forward>",
        "<forward mode='hostdev'><address type='usb'/></forward>",
        "<forward mode='hostdev'><address type='pci' slot='0x20'/></forward>",
        "<forward mode='hostdev'><address type='pci' bus='1'/><address type='pci' bus='1'/></forward>",
    ],
    "bridge": [
        "<forward mode='bridge'/><bridge name='a' stp='on'/>",
        "<forward mode='bridge'/><bridge name='a' delay='2'/>",
        "<forward mode='bridge'/><bridge zone='a'/>",
        "<forward mode='bridge' dev='e'/><bridge name='a'/>",
        "<forward mode='vepa'/><bridge name='a'/>",
        "<forward mode='hostdev'/><bridge macTableManager='kernel'/>",
        "<bridge macTableManager='default'/>",
    ],
    "mtu": ["<forward mode='bridge'/><mtu size='9'/>", "<mtu size='x'/>"],
    "mac": ["<mac address='01:00:00:00:00:01'/>", "<mac address='z'/>"],
    "domain": ["<domain name='a' localOnly='x'/>"],
    "vlan": [
        "<vlan/>",
        "<vlan><tag id='4096'/></vlan>",
        "<vlan trunk='x'><tag id='1'/></vlan>",
        "<vlan trunk='no'><tag id='0'/><tag id='1'/></vlan>",
        "<vlan trunk='no'><tag id='4' nativeMode='tagged'/></vlan>",
        "<vlan><tag id='4' nativeMode='tagged'/><tag id='5' nativeMode='untagged'/></vlan>",
    ],
    "virtualport": [
        "<virtualport/>",
        "<virtualport type='802.1Qbg'><parameters profileid='x'/></virtualport>",
        "<virtualport type='802.1Qbg'><parameters managerid='256'/></virtualport>",
        "<virtualport type='openvswitch'><parameters typeid='1'/></virtualport>",
        f"<virtualport type='openvswitch'><parameters profileid='{_LONG[:40]}'/></virtualport>",
    ],
    "bandwidth": [
        "<bandwidth><inbound/></bandwidth>",
        "<bandwidth><outbound peak='2'/></bandwidth>",
        "<bandwidth><inbound average='1' floor='2'/></bandwidth>",
        "<bandwidth><outbound average='1' floor='2'/></bandwidth>",
        "<bandwidth><inbound average='1'/><inbound average='2'/></bandwidth>",
    ],
    "portgroup": ["<portgroup/>", "<portgroup name=''/>"],
    "dns": [
        "<dns enable='no'><txt name='a' value='b'/></dns>",
        "<dns><forwarder/></dns>",
        "<dns><forwarder addr='q'/></dns>",
        "<dns><host ip='1.2.3.4'/></dns>",
        "<dns><host><hostname>a</hostname></host></dns>",
        "<dns><txt name='a'/></dns>",
        "<dns><txt name='a b' value='c'/></dns>",
        "<dns><srv service='a'/></dns>",
        f"<dns><srv service='{_LONG}' protocol='tcp'/></dns>",
        "<dns><srv service='a' protocol='tcp' weight='1'/></dns>",
        "<dns><srv service='a' protocol='tcp' target='.' port='0'/></dns>",
        "<dns><srv service='a' protocol='tcp' target='.' weight='65536'/></dns>",
    ],
    "ip": [
        "<ip/>",
        "<ip address='fc00::1'/>",
        "<ip family='ipv6' address='1.1.1.1'/>",
        "<ip family='x' address='1.1.1.1'/>",
        "<ip address='1.1.1.1' netmask='255.0.0.0' prefix='8'/>",
        "<ip address='1.1.1.1' netmask='fc00::'/>",
        "<ip family='ipv6' address='fc00::1' netmask='255.0.0.0'/>",
        "<ip address='1.1.1.1' prefix='33'/>",
        "<ip address='240.0.0.1'><dhcp><range start='240.0.0.2' end='240.0.0.3'/></dhcp></ip>",
        "<ip address='1.0.0.1' netmask='255.0.255.0'><dhcp><range start='1.0.0.2' end='1.0.0.3'/></dhcp></ip>",
        IP.format("<dhcp><range start='10.0.0.0' end='10.0.0.3'/></dhcp>"),
        IP.format("<dhcp><range start='10.0.0.2' end='10.0.0.255'/></dhcp>"),
        IP.format("<dhcp><range start='10.0.0.9' end='10.0.0.3'/></dhcp>"),
        IP.format("<dhcp><range start='10.0.0.2' end='10.0.1.3'/></dhcp>"),
        IP.format("<dhcp><range start='fc00::2' end='fc00::3'/></dhcp>"),
        IP.format("<dhcp><host ip='10.0.0.2' id='01:2'/></dhcp>"),
        IP.format("<dhcp><host name='a'/></dhcp>"),
        IP.format("<dhcp><host name='-a' ip='10.0.0.2'/></dhcp>"),
        IP.format("<dhcp><host mac='01:1:2:3:4:AA' ip='10.0.0.2'/></dhcp>"),
        IP.format("<dhcp><host name='a' ip='10.0.0.2'><lease expiry='1'/></host></dhcp>"),
        IP.format("<dhcp><host name='a' ip='10.0.0.2'><lease expiry='3' unit='days'/></host></dhcp>"),
        IP.format("<dhcp><range start='10.0.0.2' end='10.0.0.3'/><bootp file='q' server='a'/></dhcp>"),
        IP6.format("<dhcp><host name='a' mac='00:16:3e:77:e2:ed' ip='fc00::2'/></dhcp>"),
        IP6.format("<dhcp><host ip='fc00::2'/></dhcp>"),
        IP6.format("<dhcp><host id='0:g' ip='fc00::2'/></dhcp>"),
    ],
    "route": [
        f"{IP}<route address='1.0.0.0' gateway='10.0.0.2'/>",
        f"{IP}<route address='1.1.0.0' prefix='8' gateway='10.0.0.2'/>",
        f"{IP}<route address='1.0.0.0' prefix='8' netmask='255.0.0.0' gateway='10.0.0.2'/>",
        f"{IP}<route address='1.0.0.0' prefix='33' gateway='10.0.0.2'/>",
        f"{IP}<route address='1.0.0.0' prefix='8' gateway='10.0.0.2' metric='0'/>",
        f"{IP}<route address='1.0.0.0' prefix='8' gateway='10.0.1.2'/>",
        f"{IP6}<route family='ipv6' address='fd00::' prefix='64' gateway='10.0.0.2'/>",
    ],
}


@pytest.mark.parametrize(("part", "given"), [(part, text) for part, texts in REFUSED.items() for text in texts])
def test_nonsense_is_refused_where_it_stands(part: str, given: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_network(net(given.format("")))
    assert caught.value.place.split("[")[0].startswith(f"network/{part}")


@pytest.mark.parametrize(
    "text",
    [
        "<network/>",
        "<network><name>a/b</name></network>",
        PORT.format("<plug type='bridge'/>"),
        PORT.format("<plug type='hostdev-pci'/>"),
        PORT.format("<plug type='hostdev-pci'><address slot='0x20'/></plug>"),
        PORT.format("<plug type='direct' dev='a' mode='x'/>"),
        PORT.replace("<name>g</name>", "").format(""),
        PORT.replace("<mac address='52:54:00:7B:35:93'/>", "").format(""),
    ],
)
def test_what_has_no_name_or_place_is_refused(text: str) -> None:
    with pytest.raises(DocumentError):
        (parse_port if text.startswith("<networkport") else parse_network)(text)


DHCP = (
    "<dns><host ip='1.1.1.1'><hostname>a</hostname><hostname>b</hostname></host><host ip='1.1.1.2'>"
    "<hostname>b</hostname></host><txt name='t' value='v'/><srv service='s' protocol='tcp' target='x' port='3'/></dns>"
    "<ip address='10.0.0.1' prefix='24'><dhcp><range start='10.0.0.2' end='10.0.0.9'/>"
    "<host mac='52:54:00:00:00:01' name='h' ip='10.0.0.5'/></dhcp></ip><ip address='10.1.0.1' prefix='24'/>" + IP6
).format("")
CARDS = "<forward mode='vepa'><interface dev='e'/></forward>"
GROUPS = "<portgroup name='a' default='yes'/><portgroup name='b'/>"
_S = Section
_MODIFY, _DELETE, _LAST, _FIRST = Command.MODIFY, Command.DELETE, Command.ADD_LAST, Command.ADD_FIRST


@pytest.mark.parametrize(
    ("body", "command", "section", "index", "xml", "old", "new"),
    [
        (DHCP, _LAST, _S.IP_DHCP_HOST, 2, "<host name='q' ip='fc00::2'/>", "", "<host name='q' ip='fc00::2'/>"),
        (DHCP, _LAST, _S.IP_DHCP_HOST, -1, "<host name='q' ip='10.0.0.8'/>", "", "<host name='q' ip='10.0.0.8'/>"),
        (DHCP, _MODIFY, _S.IP_DHCP_HOST, 0, "<host name='h' ip='10.0.0.8'/>", "10.0.0.5", "name='h' ip='10.0.0.8'"),
        (DHCP, _DELETE, _S.IP_DHCP_HOST, 0, "<host mac='52:54:0:0:0:1'/>", "10.0.0.5", "10.0.0.9"),
        (DHCP, _FIRST, _S.IP_DHCP_RANGE, 0, "<range start='10.0.0.20' end='10.0.0.21'/>", "", "'10.0.0.21'"),
        (DHCP, _DELETE, _S.IP_DHCP_RANGE, -1, "<range start='10.0.0.2' end='10.0.0.9'/>", "10.0.0.9", "10.0.0.5"),
        (DHCP, _LAST, _S.DNS_HOST, 0, "<host ip='1.1.1.3'><hostname>a</hostname></host>", "", "1.1.1.3"),
        (DHCP, _DELETE, _S.DNS_HOST, 0, "<host><hostname>a</hostname></host>", "1.1.1.1", "1.1.1.2"),
        (DHCP, _FIRST, _S.DNS_TXT, 0, "<txt name='s' value='w'/>", "", "name='s' value='w'"),
        (DHCP, _DELETE, _S.DNS_TXT, 0, "<txt name='t'/>", "<txt", ""),
        (DHCP, _DELETE, _S.DNS_SRV, 0, "<srv/>", "<srv", ""),
        (DHCP, _LAST, _S.DNS_SRV, 0, "<srv service='s' protocol='udp'/>", "", "protocol='udp'"),
        (CARDS, _FIRST, _S.FORWARD_INTERFACE, 0, "<interface dev='f'/>", "", "<forward dev='f' mode='vepa'>"),
        (CARDS, _DELETE, _S.FORWARD_INTERFACE, 0, "<interface dev='e'/>", "'e'", "<forward mode='vepa'/>"),
        (GROUPS, _MODIFY, _S.PORTGROUP, 0, "<portgroup name='a'/>", "default", "<portgroup name='a'/>"),
        (GROUPS, _DELETE, _S.PORTGROUP, 0, "<portgroup name='a'/>", "default", "<portgroup name='b'/>"),
    ],
)
def test_sections_are_updated(
    body: str, command: Command, section: Section, index: int, xml: str, old: str, new: str
) -> None:
    network = parse_network(net(body))
    changed = update(network, command, section, index, xml)
    complete(changed)
    text = render_network(changed)
    assert new in text
    assert not old or old not in text
    assert network == parse_network(net(body)), "the original is left as it was"


@pytest.mark.parametrize(
    ("body", "command", "section", "index", "xml", "error"),
    [
        (DHCP, _LAST, _S.IP_DHCP_HOST, 0, "<host name='p'/>", DocumentError),
        (DHCP, _LAST, _S.IP_DHCP_HOST, 0, "<host name='h' ip='10.0.0.8'/>", InvalidState),
        (DHCP, _LAST, _S.IP_DHCP_HOST, 1, "<host name='q' ip='10.1.0.8'/>", InvalidState),
        (DHCP, _LAST, _S.IP_DHCP_HOST, 3, "<host name='q' ip='10.1.0.8'/>", InvalidState),
        ("", _LAST, _S.IP_DHCP_HOST, -1, "<host name='q' ip='10.1.0.8'/>", InvalidState),
        (DHCP, _MODIFY, _S.IP_DHCP_HOST, 1, "<host name='h' ip='10.0.0.8'/>", InvalidState),
        (DHCP, _DELETE, _S.IP_DHCP_HOST, 0, "<host name='h' ip='10.0.0.6'/>", InvalidState),
        (DHCP, _DELETE, _S.IP_DHCP_HOST, 0, "<host id='1:2'/>", DocumentError),
        (DHCP, _DELETE, _S.IP_DHCP_HOST, 0, "<other/>", DocumentError),
        (DHCP, _LAST, _S.IP_DHCP_RANGE, 0, "<range start='10.0.0.2' end='10.0.0.9'/>", InvalidState),
        (DHCP, _LAST, _S.IP_DHCP_RANGE, 0, "<range start='10.1.0.2' end='10.1.0.9'/>", DocumentError),
        (DHCP, _LAST, _S.IP_DHCP_RANGE, 1, "<range start='10.1.0.2' end='10.1.0.9'/>", InvalidState),
        (DHCP, _MODIFY, _S.IP_DHCP_RANGE, 0, "<range start='10.0.0.2' end='10.0.0.9'/>", OperationUnsupported),
        (DHCP, _LAST, _S.DNS_HOST, 0, "<host ip='1.1.1.2'><hostname>z</hostname></host>", InvalidState),
        (DHCP, _DELETE, _S.DNS_HOST, 0, "<host><hostname>b</hostname></host>", InvalidState),
        (DHCP, _DELETE, _S.DNS_HOST, 0, "<host/>", DocumentError),
        (DHCP, _MODIFY, _S.DNS_TXT, 0, "<txt name='t' value='w'/>", OperationUnsupported),
        (DHCP, _LAST, _S.DNS_TXT, 0, "<txt name='t' value='w'/>", InvalidState),
        (DHCP, _LAST, _S.DNS_TXT, 0, "<txt name='s'/>", DocumentError),
        ("<dns enable='no'/>", _LAST, _S.DNS_TXT, 0, "<txt name='s' value='w'/>", DocumentError),
        (DHCP, _LAST, _S.DNS_SRV, 0, "<srv service='s'/>", DocumentError),
        (DHCP, _DELETE, _S.DNS_SRV, 0, "<srv protocol='pudding'/>", InvalidState),
        (CARDS, _LAST, _S.FORWARD_INTERFACE, 0, "<interface dev='e'/>", InvalidState),
        (CARDS, _LAST, _S.FORWARD_INTERFACE, 0, "<interface/>", DocumentError),
        (f"<forward dev='x'/>{IP}", _LAST, _S.FORWARD_INTERFACE, 0, "<interface dev='e'/>", DocumentError),
        (GROUPS, _LAST, _S.PORTGROUP, 0, "<portgroup name='c' default='yes'/>", InvalidState),
        (GROUPS, _LAST, _S.PORTGROUP, 0, "<portgroup name='a'/>", InvalidState),
        (GROUPS, _MODIFY, _S.PORTGROUP, 0, "<portgroup name='z'/>", InvalidState),
        (GROUPS, _LAST, _S.BRIDGE, 0, "<bridge/>", OperationUnsupported),
        (GROUPS, _LAST, 99, 0, "<bridge/>", OperationUnsupported),
        (GROUPS, 9, _S.PORTGROUP, 0, "<portgroup name='z'/>", OperationUnsupported),
    ],
)
def test_updates_that_cannot_be_are_refused(
    body: str, command: int, section: int, index: int, xml: str, error: type[VmherdError]
) -> None:
    network = parse_network(net(body.format("")))
    with pytest.raises(error):
        complete(update(network, command, section, index, xml))


def test_an_interface_that_guests_use_is_not_deleted() -> None:
    with pytest.raises(InvalidState, match="1 guests"):
        update(running(), _DELETE, _S.FORWARD_INTERFACE, -1, "<interface dev='vf0'/>")


def test_dnsmasq_is_told_everything() -> None:
    network = parse_network(NAT)
    lines = dnsmasq.configuration(network, Path("/d"), pid_file=Path("/run/n.pid")).splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "strict-order",
        *("server=/a.org/8.8.8.8", "server=9.9.9.9", "server=/mine/#", "no-resolv"),
        *("local=/example.org/", "domain=example.org", "expand-hosts", "local=/10.in-addr.arpa/"),
        *("domain-needed", "local=//", "pid-file=/run/n.pid", "except-interface=lo"),
        *("bind-dynamic", "interface=virbr0", "txt-record=t,v"),
        *("srv-host=_ldap._tcp.d,x,389,1,2", "srv-host=_late._udp,y,1,0,3", "srv-host=_no._tcp"),
        *("enable-tftp", "tftp-root=/srv", "tftp-root=/srv6", "dhcp-range=10.0.0.2,10.0.0.9,255.0.0.0,3h"),
        *("dhcp-no-override", "dhcp-authoritative", "dhcp-boot=pxe,,10.0.0.1", "dhcp-range=fc00::1,static,64"),
        *("dhcp-lease-max=8", "dhcp-hostsfile=/d/n.hostsfile", "addn-hosts=/d/n.addnhosts"),
        *("dhcp-option=option:mtu,9000", "enable-ra", "foo=bar"),
    ]
    assert dnsmasq.hosts_file(network).splitlines() == [
        "52:54:0:0:0:2,10.0.0.5,h,infinite",
        "m,10.0.0.6",
        "52:54:0:0:0:3,10.0.0.7",
        "id:0:1,s,[fc00::5]",
    ]
    assert dnsmasq.additional_hosts_file(network) == "10.0.0.9\tp\tq\t\n"


def test_an_isolated_network_without_names_leads_nowhere() -> None:
    text = dnsmasq.configuration(parse_network(net("<dns enable='no'/>" + IP6.format(""))), Path("/d"))
    lines = text.splitlines()
    assert {"port=0", "dhcp-option=3", "no-resolv", "ra-param=*,0,0", "dhcp-range=fc00::1,ra-only"} <= set(lines)
    assert "addn-hosts" not in text


@pytest.mark.parametrize(
    "body",
    [
        IP.format("<dhcp><host name='a' ip='10.0.0.2'/></dhcp>") * 2,
        "<ip address='10.0.0.1' prefix='25' localPtr='yes'/>",
    ],
)
def test_what_dnsmasq_cannot_serve_is_refused(body: str) -> None:
    with pytest.raises(Unsupported):
        dnsmasq.configuration(parse_network(net(body)), Path("/d"))
