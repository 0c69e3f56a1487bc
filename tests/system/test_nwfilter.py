"""Network filters, by the frames that pass and those that do not."""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from filtered import ONE, OTHER, SIGN, TWO, Ground, from_address, until
from frames import BROADCAST, arp, dhcp, ethernet, inside, packet, tcp, udp
from namespaces import Host, Namespace, missing

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(missing("nft", "virsh")), reason=missing("nft", "virsh")),
]


@pytest.fixture
def ground(own: Host, tmp_path: Path) -> Iterator[Ground]:
    with Ground(own, tmp_path) as ground:
        yield ground


#: What a guest with 52:54:00:00:00:01 and 10.0.0.1 may send under clean-traffic.
HONEST = {
    "datagram": udp(ONE, TWO, "10.0.0.1", "10.0.0.2"),
    "question": arp(ONE, "10.0.0.1"),
    "dhcp": udp(ONE, BROADCAST, "0.0.0.0", "255.255.255.255", ports=(68, 67)),
    "announcement": arp(ONE, "0.0.0.0", wanted="0.0.0.0", told=ONE, operation=3, kind=0x8035),
    "old announcement": ethernet(ONE, BROADCAST, 0x0835, b"x"),
}
SPOOFED = {
    "MAC": udp(OTHER, TWO, "10.0.0.1", "10.0.0.2"),
    "MAC of a broadcast": udp(OTHER, BROADCAST, "0.0.0.0", "255.255.255.255", ports=(68, 67)),
    "IP": udp(ONE, TWO, "10.0.0.9", "10.0.0.2"),
    "IP of the peer": udp(ONE, TWO, "10.0.0.2", "10.0.0.2"),
    "ARP address": arp(ONE, "10.0.0.2"),
    "ARP MAC": arp(OTHER, "10.0.0.1", source=ONE),
    "ARP answer": arp(ONE, "10.0.0.9", operation=2, target=TWO),
    "ARP of other lengths": arp(ONE, "10.0.0.1")[:18] + b"\5\5" + arp(ONE, "10.0.0.1")[20:],
    "IPv6": udp(ONE, TWO, "fe80::1", "fe80::2"),
    "a VLAN": ethernet(ONE, TWO, 0x8100, b"\0\5" + HONEST["datagram"][12:]),
    "another protocol": ethernet(ONE, TWO, 0x88B5, b"x"),
    "RARP of another": arp(OTHER, "0.0.0.0", wanted="0.0.0.0", told=OTHER, operation=3, kind=0x8035, source=ONE),
}


def test_clean_traffic_lets_a_guest_be_nobody_else(ground: Ground) -> None:
    last = udp(ONE, TWO, "10.0.0.1", "10.0.0.2", ports=(9, 9))
    assert ground.sent(SPOOFED["IP"], last), "it could, without a filter"
    assert "created" in ground.bind("vnet1", "clean-traffic", IP="10.0.0.1")
    for what, frame in HONEST.items():
        assert ground.sent(frame, last), what
    for what, frame in SPOOFED.items():
        assert not ground.sent(frame, last), what
    answer = udp(TWO, ONE, "10.0.0.2", "10.0.0.1")
    assert ground.received(arp(TWO, "10.0.0.2", wanted="10.0.0.1"), answer)
    assert not ground.received(udp(TWO, ONE, "fe80::2", "fe80::1"), answer)
    assert ground.virsh("nwfilter-binding-list").split()[-2:] == ["vnet1", "clean-traffic"]
    assert "deleted" in ground.virsh("nwfilter-binding-delete", "vnet1")
    assert ground.sent(SPOOFED["IP"], last)
    assert "vmherd" not in ground.own.run("nft", "list", "ruleset"), "with the last card all is gone"


ASK = udp(ONE, BROADCAST, "0.0.0.0", "255.255.255.255", ports=(68, 67), content=dhcp(1, ONE))


def given(address: str, *, seconds: int = 600, server: str = "10.0.0.2") -> bytes:
    """A server's answer, from the second guest."""
    message = dhcp(5, ONE, given=address, seconds=seconds)
    return udp(TWO, ONE, server, address, ports=(67, 68), content=message)


def test_the_first_address_that_a_guest_uses_is_its_own_from_then_on(ground: Ground) -> None:
    ground.bind("vnet1", "clean-traffic")
    assert not ground.sent(arp(OTHER, "10.0.0.7", source=OTHER), ASK), "another's MAC address teaches nothing"

    def speaks() -> bool:
        return ground.sent(from_address("10.0.0.1"), ASK)

    until(speaks)
    assert not ground.sent(from_address("10.0.0.9"), ASK)
    ground.daemon.signal(9)
    ground.daemon.wait()
    ground.daemon.start(words=ground.own.words)
    assert "clean-traffic" in ground.virsh("nwfilter-binding-list")
    assert speaks()
    assert not ground.sent(from_address("10.0.0.9"), ASK)
    until(lambda: not any("nwfilter.learner" in line for line in ground.own.processes().values()))


def test_addresses_of_dhcp_are_a_guests_as_long_as_they_are_given(ground: Ground) -> None:
    ground.bind("vnet1", "clean-traffic", CTRL_IP_LEARNING="dhcp", DHCPSERVER="10.0.0.2")
    for number in (1, 3):  # the learner may not listen yet
        assert not ground.sent(from_address(f"10.0.0.{number}"), ASK)
    assert not ground.received(given("10.0.0.9", server="10.0.0.66"), given("10.0.0.1"))

    def gets(address: str, seconds: int) -> bool:
        ground.wires[1].send(given(address, seconds=seconds))
        return ground.sent(from_address(address), ASK)

    until(lambda: gets("10.0.0.1", 600))
    (learner,) = [pid for pid, line in ground.own.processes().items() if "nwfilter.learner" in line]
    os.kill(learner, signal.SIGKILL)
    assert ground.sent(from_address("10.0.0.1"), ASK), "what is known is known"
    until(lambda: gets("10.0.0.3", 1), 20.0)
    assert not ground.sent(from_address("10.0.0.9"), ASK), "its server did not give it that"
    until(lambda: not ground.sent(from_address("10.0.0.3"), ASK))
    assert ground.sent(from_address("10.0.0.1"), ASK), "the other one is its own still"
    back = udp(ONE, TWO, "10.0.0.1", "10.0.0.2", ports=(68, 67), content=dhcp(7, ONE, own="10.0.0.1"))
    ground.wires[0].send(back)
    until(lambda: not ground.sent(from_address("10.0.0.1"), ASK))


def test_what_cannot_be_learned_must_be_told(ground: Ground) -> None:
    assert "unresolvable variables or unavailable list elements: IP" in ground.bind(
        "vnet1", "clean-traffic", CTRL_IP_LEARNING="none"
    )
    assert "GATEWAY_MAC" in ground.bind("vnet1", "clean-traffic-gateway")
    assert "'guess'" in ground.bind("vnet1", "clean-traffic", CTRL_IP_LEARNING="guess")
    assert "vnet1" not in ground.virsh("nwfilter-binding-list")
    assert ground.sent(from_address("10.0.0.9"), ASK), "and nothing is in the way"


def v4(protocol: int, content: bytes, sender: str = "10.0.0.1", *, dscp: int = 0) -> bytes:
    return packet(ONE, TWO, sender, "10.0.0.2", protocol, content, dscp=dscp)


def v6(protocol: int, content: bytes, sender: str = "fd00::1", *, dscp: int = 0) -> bytes:
    return packet(ONE, TWO, sender, "fd00::2", protocol, content, dscp=dscp)


def ports(sender: int, receiver: int) -> bytes:
    return struct.pack("!HHI", sender, receiver, 0)


def tagged(number: int, kind: int) -> bytes:
    return ethernet(ONE, TWO, 0x8100, struct.pack("!HH", number, kind))


def bpdu(priority: int, cost: int = 4) -> bytes:
    """A message of spanning tree."""
    message = struct.pack("!BBBHBBBH6sI", 0x42, 0x42, 3, 0, 0, 0, 0, priority, bytes(6), cost) + bytes(18)
    return ethernet(ONE, "01:80:c2:00:00:00", len(message), message)


#: A rule for what a guest sends, a frame that it is about, and one that it is not; with $A, $P and $ONE.
RULES: list[tuple[str, bytes, bytes]] = [
    (
        "<mac srcmacaddr='52:54:00:aa:bb:cc' srcmacmask='ff:ff:ff:00:00:00'/>",
        v4(17, b""),
        arp("52:54:01:00:00:01", "10.0.0.1"),
    ),
    ("<mac match='no' protocolid='arp'/>", v4(17, b""), arp(ONE, "10.0.0.1")),
    ("<mac dstmacaddr='ff:ff:ff:ff:ff:ff'/>", arp(ONE, "10.0.0.1"), arp(ONE, "10.0.0.1", target=TWO)),
    ("<vlan vlanid='5'/>", tagged(5, 0x0800), tagged(6, 0x0800)),
    ("<vlan vlanid='5' encap-protocol='arp'/>", tagged(5, 0x0806), tagged(5, 0x0800)),
    ("<vlan match='no' vlanid='0x5'/>", tagged(6, 0x0800), tagged(5, 0x0800)),
    ("<stp root-priority='10' root-priority-hi='20'/>", bpdu(20), bpdu(21)),
    ("<stp type='0' root-cost='4'/>", bpdu(1), bpdu(1, cost=5)),
    ("<arp opcode='Reply'/>", arp(ONE, "10.0.0.1", operation=2), arp(ONE, "10.0.0.1")),
    ("<arp gratuitous='true'/>", arp(ONE, "10.0.0.1", wanted="10.0.0.1"), arp(ONE, "10.0.0.1")),
    ("<arp gratuitous='false'/>", arp(ONE, "10.0.0.1"), arp(ONE, "10.0.0.1", wanted="10.0.0.1")),
    ("<arp arpdstipaddr='10.0.1.0' arpdstipmask='24'/>", arp(ONE, "10.0.0.1", wanted="10.0.1.9"), arp(ONE, "10.0.0.1")),
    (
        "<rarp arpdstmacaddr='$MAC'/>",
        arp(TWO, "0.0.0.0", told=ONE, kind=0x8035, source=ONE),
        arp(ONE, "0.0.0.0", kind=0x8035),
    ),
    ("<ip dscp='10'/>", v4(17, b"", dscp=10), v4(17, b"", dscp=11)),
    ("<ip match='no' srcipaddr='10.1.2.3' srcipmask='255.255.0.0'/>", v4(17, b""), v4(17, b"", "10.1.9.9")),
    ("<ip protocol='sctp' dstportstart='7' dstportend='9'/>", v4(132, ports(1, 9)), v4(132, ports(1, 10))),
    ("<ip protocol='0x06'/>", v4(6, b""), v4(17, b"")),
    ("<ipv6 protocol='udp' srcportstart='7'/>", v6(17, ports(7, 1)), v6(17, ports(1, 7))),
    ("<ipv6 srcipaddr='fd00::' srcipmask='64'/>", v6(17, b""), v6(17, b"", "fd00:0:0:1::1")),
    ("<ipv6 type='130' typeend='136' code='0' codeend='1'/>", v6(58, bytes([136, 1])), v6(58, bytes([137, 1]))),
    ("<tcp flags='SYN,ACK/SYN'/>", v4(6, tcp(2)), v4(6, tcp(18))),
    ("<tcp flags='ALL/NONE'/>", v4(6, tcp(0)), v4(6, tcp(1))),
    ("<tcp option='8'/>", v4(6, tcp(2, options=bytes([8, 10]) + bytes(8))), v4(6, tcp(2, options=bytes([4, 2])))),
    ("<tcp match='no' srcportstart='1000'/>", v4(6, tcp(2, ports=(7, 7))), v4(6, tcp(2))),
    ("<tcp-ipv6 dstportstart='2000'/>", v6(6, tcp(2)), v6(6, tcp(2, ports=(1, 1)))),
    ("<udp srcipfrom='10.0.0.1' srcipto='10.0.0.5'/>", v4(17, ports(1, 1)), v4(17, ports(1, 1), "10.0.0.6")),
    ("<udp srcmacaddr='$MAC' dscp='0x0a'/>", v4(17, ports(1, 1), dscp=10), v4(17, ports(1, 1))),
    ("<udplite/>", v4(136, b""), v4(17, b"")),
    ("<udp-ipv6 dstipfrom='fd00::1' dstipto='fd00::3'/>", v6(17, ports(1, 1)), v6(6, b"")),
    ("<esp/>", v4(50, b""), v4(51, b"")),
    ("<ah-ipv6/>", v6(51, b""), v6(50, b"")),
    ("<sctp dstportstart='9'/>", v4(132, ports(1, 9)), v4(132, ports(9, 1))),
    ("<igmp/>", v4(2, b""), v4(1, b"")),
    ("<icmp type='3' code='4'/>", v4(1, bytes([3, 4])), v4(1, bytes([3, 5]))),
    ("<icmp match='no' type='3' code='4'/>", v4(1, bytes([3, 5])), v4(1, bytes([3, 4]))),
    ("<icmpv6 type='128'/>", v6(58, bytes([128, 0])), v6(58, bytes([129, 0]))),
    ("<all srcipaddr='10.0.0.0' srcipmask='24'/>", v4(99, b""), v4(99, b"", "10.0.1.1")),
    ("<all-ipv6/>", v6(99, b""), v4(99, b"")),
    ("<udp srcipaddr='$A[@1]' dstportstart='$P[@2]'/>", v4(17, ports(1, 8), "10.0.0.1"), v4(17, ports(1, 6))),
    ("<udp srcipaddr='$A[@1]' dstportstart='$P[@1]'/>", v4(17, ports(1, 8), "10.0.0.4"), v4(17, ports(1, 8))),
    ("<udp srcipaddr='$A' dstportstart='$P[1]'/>", v4(17, ports(1, 8), "10.0.0.1"), v4(17, ports(1, 7))),
]


def test_a_rule_is_about_the_frames_that_it_tells(ground: Ground) -> None:
    """Each filter takes the place of the one before while it is in use."""
    rest = f"<rule action='accept' direction='out' priority='0'><mac protocolid='{0x88B5:#x}'/></rule>"
    rest += "<rule action='drop' direction='out' priority='900'><mac/></rule>"
    rest_of_traffic = "<rule action='drop' direction='out' priority='900'><{}/></rule>"
    ground.define("tried", rest)
    ground.bind("vnet1", "tried", A=["10.0.0.1", "10.0.0.4"], P=["7", "8"])
    wrong = []
    for rule, about, other in RULES:
        tag = rule[1:].split()[0].rstrip("/>")
        if tag in ("mac", "vlan", "stp", "arp", "rarp", "ip", "ipv6"):
            told = f"<rule action='accept' direction='out' priority='100'>{rule}</rule>{rest}"
        else:
            told = f"<rule action='accept' direction='out' priority='100' statematch='false'>{rule}</rule>"
            told += "".join(map(rest_of_traffic.format, ("all", "all-ipv6")))
        said = ground.define("tried", told)
        found = "defined" in said, ground.sent(about, SIGN), ground.sent(other, SIGN)
        if found != (True, True, False):
            wrong.append((rule, found, said))
    assert not wrong


#: What the manual of libvirt shows as an example: two ports are open, questions may be asked, nothing else.
FENCE = """<rule action='accept' direction='in'><tcp dstportstart='22' dstportend='23'/></rule>
<rule action='accept' direction='in'><udp dstportstart='53' srcipaddr='10.0.0.0' srcipmask='24'/></rule>
<rule action='accept' direction='out'><udp dstportstart='123'/></rule>
<rule action='accept' direction='out'><icmp type='8'/></rule>
<rule action='accept' direction='in'><icmp type='0'/></rule>
<rule action='{refuse}' direction='inout'><all/></rule>
<rule action='drop' direction='inout'><all-ipv6/></rule>"""


def addressed(ground: Ground) -> None:
    for number, guest in enumerate((ground.one, ground.two), 1):
        guest.run("ip", "address", "add", f"10.0.0.{number}/24", "dev", "eth0")
        guest.run("ip", "neigh", "add", f"10.0.0.{3 - number}", "lladdr", (ONE, TWO)[2 - number], "dev", "eth0")


def connects(server: Namespace, client: Namespace, address: str, port: int, *, patience: float = 5.0) -> bool:
    """Whether a line goes to a server and back, over TCP."""
    listening = inside(server, lambda: socket.create_server((address, port)))
    calling = inside(client, socket.socket)
    with listening, calling:
        calling.settimeout(patience)
        try:
            calling.connect((address, port))
        except TimeoutError:
            return False
        with listening.accept()[0] as accepted:
            accepted.sendall(b"hello")
            return calling.recv(5) == b"hello"


def test_connections_begin_where_a_rule_says_and_answers_come_back(ground: Ground) -> None:
    addressed(ground)
    ground.define("fence", FENCE.format(refuse="drop"))
    assert "created" in ground.bind("vnet1", "fence")
    assert connects(ground.one, ground.two, "10.0.0.1", 22)
    assert connects(ground.one, ground.two, "10.0.0.1", 23)
    assert not connects(ground.one, ground.two, "10.0.0.1", 80, patience=0.5)
    assert not connects(ground.two, ground.one, "10.0.0.2", 22, patience=0.5), "only others may begin"
    assert "1 received" in ground.one.run("ping", "-c1", "-W2", "10.0.0.2")
    assert "0 received" in ground.two.run("ping", "-c1", "-W1", "10.0.0.1", check=False)

    time_, last = (udp(ONE, TWO, "10.0.0.1", "10.0.0.2", ports=(7, port)) for port in (123, 124))
    asked = udp(TWO, ONE, "10.0.0.2", "10.0.0.1", ports=(5000, 53))
    assert not ground.received(udp(TWO, ONE, "10.0.0.2", "10.0.0.1", ports=(123, 7)), asked), "nobody asked"
    ground.wires[0].send(time_)
    assert ground.received(udp(TWO, ONE, "10.0.0.2", "10.0.0.1", ports=(123, 7)), asked)
    assert not ground.sent(last, time_)
    assert ground.sent(udp(ONE, TWO, "10.0.0.1", "10.0.0.2", ports=(53, 5000)), time_), "it was asked"
    assert not ground.sent(udp(ONE, TWO, "10.0.0.1", "10.0.0.2", ports=(53, 5001)), time_)
    assert not ground.received(udp(TWO, ONE, "10.9.0.2", "10.0.0.1", ports=(5000, 53)), asked)
    marks = ground.own.run("nft", "list", "table", "inet", ground.own.run("nft", "list", "tables", "inet").split()[-1])
    assert "mark" in marks
