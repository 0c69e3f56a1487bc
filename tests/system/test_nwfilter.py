"""Network filters, by the frames that pass and those that do not: guests are namespaces with cables into a bridge."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from daemons import RunningDaemon
from frames import BROADCAST, Wire, arp, dhcp, ethernet, inside, passes, udp
from namespaces import Host, Namespace, missing

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(missing("nft", "virsh")), reason=missing("nft", "virsh")),
]

ONE, TWO, OTHER = (f"52:54:00:00:00:0{number}" for number in (1, 2, 3))
OWNER = str(UUID(int=1))
BINDING = """<filterbinding><owner><name>guest</name><uuid>{owner}</uuid></owner><portdev name='{device}'/>
<mac address='{mac}'/><filterref filter='{filter}'>{parameters}</filterref></filterbinding>"""


class Ground:
    """A bridge with two guests, and a daemon beside them."""

    def __init__(self, own: Host, folder: Path) -> None:
        self.own = own
        self.folder = folder
        own.run("ip", "link", "add", "br0", "up", "type", "bridge")
        self.one, self.two = own.guest("vnet1", "br0", ONE), own.guest("vnet2", "br0", TWO)
        self.wires = Wire(self.one, "eth0"), Wire(self.two, "eth0")
        self.daemon = RunningDaemon(folder, uri=f"qemu:///embed?root={folder / 'root'}")
        self.daemon.start(words=own.words)

    def __enter__(self) -> Ground:
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.__exit__()
        for wire in self.wires:
            wire.close()

    def virsh(self, *words: str) -> str:
        return self.daemon.virsh(*words)

    def document(self, text: str) -> str:
        path = self.folder / "document.xml"
        path.write_text(text)
        return str(path)

    def bind(self, device: str, filter_: str, *, mac: str = ONE, **values: str | list[str]) -> str:
        told = (
            (name, each) for name, value in values.items() for each in ([value] if isinstance(value, str) else value)
        )
        parameters = "".join(f"<parameter name='{name}' value='{value}'/>" for name, value in told)
        text = BINDING.format(owner=OWNER, device=device, mac=mac, filter=filter_, parameters=parameters)
        return self.virsh("nwfilter-binding-create", self.document(text))

    def define(self, name: str, rules: str, *, uuid: int = 7, chain: str = "root") -> str:
        text = f"<filter name='{name}' chain='{chain}'><uuid>{UUID(int=uuid)}</uuid>{rules}</filter>"
        return self.virsh("nwfilter-define", self.document(text))

    def sent(self, frame: bytes, last: bytes) -> bool:
        """Whether the other guest gets what the first one sends."""
        return passes(*self.wires, frame, last)

    def received(self, frame: bytes, last: bytes) -> bool:
        return passes(*reversed(self.wires), frame, last)


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


def until(holds: Callable[[], bool], patience: float = 10.0) -> None:
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def from_address(address: str, *, port: int = 1) -> bytes:
    return udp(ONE, TWO, address, "10.0.0.2", ports=(port, 2000))


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
    until(lambda: gets("10.0.0.3", 1))
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


def connects(server: Namespace, client: Namespace, address: str, port: int) -> bool:
    """Whether a line goes to a server and back, over TCP."""
    listening = inside(server, lambda: socket.create_server((address, port)))
    calling = inside(client, socket.socket)
    with listening, calling:
        calling.settimeout(0.5)
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
    assert not connects(ground.one, ground.two, "10.0.0.1", 80)
    assert not connects(ground.two, ground.one, "10.0.0.2", 22), "only others may begin"
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
