"""Network filters where the kernel tracks connections on bridges by itself, and answers what is refused there."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from filtered import BINDING, ONE, OWNER, TWO
from frames import inside
from namespaces import Namespace, alone

from vmherd.driver.uri import parse_uri
from vmherd.resources.nwfilter.driver import LocalFilters

pytestmark = pytest.mark.kernel("nf_conntrack_bridge, nft_reject_bridge")

FILTER = """<filter name='fence'>
<rule action='accept' direction='in'><tcp dstportstart='22'/></rule>
<rule action='drop' direction='out'><tcp dstportstart='24' connlimit-above='1'/></rule>
<rule action='accept' direction='out'><tcp dstportstart='24'/></rule>
<rule action='reject' direction='out'><tcp/></rule>
<rule action='drop' direction='in'><all/></rule></filter>"""


@pytest.fixture
def guests() -> Iterator[list[Namespace]]:
    """Two guests on a bridge of this host, which is a guest itself."""
    run("ip link add br0 up type bridge")
    found = [alone(), alone()]
    for number, (guest, mac) in enumerate(zip(found, (ONE, TWO), strict=True), 1):
        run(f"ip link add vnet{number} type veth peer name eth0 address {mac} netns {guest.holder.pid}")
        run(f"ip link set vnet{number} up master br0")
        guest.run("ip", "address", "add", f"10.0.0.{number}/24", "dev", "eth0")
        guest.run("ip", "link", "set", "eth0", "up")
    yield found
    for guest in found:
        guest.close()
    run("ip link del br0")


def run(words: str) -> str:
    return subprocess.run(words.split(), check=True, capture_output=True, text=True).stdout


def line(server: Namespace, client: Namespace, address: str, port: int, *, patience: float = 20.0) -> socket.socket:
    """A connection, once a word has come over it; both ends stay open with the socket that is returned."""
    with inside(server, lambda: socket.create_server((address, port), reuse_port=True)) as listening:
        calling = inside(client, socket.socket)
        calling.settimeout(patience)
        calling.connect((address, port))
        accepted, _ = listening.accept()
        accepted.sendall(b"hello")
        assert calling.recv(5) == b"hello"
        accepted.detach()
        return calling


async def test_the_kernel_tracks_connections_on_bridges(guests: list[Namespace], tmp_path: Path) -> None:
    one, two = guests
    driver = await LocalFilters.open(parse_uri(f"qemu:///embed?root={tmp_path}"))
    await driver.filter_define(FILTER)
    await driver.binding_create(BINDING.format(owner=OWNER, device="vnet1", mac=ONE, filter="fence", parameters=""))
    rules = run("nft list ruleset")
    assert "ct state" in rules
    assert "reject" in rules
    assert "table inet" not in rules, "no notes on packets are needed"
    line(one, two, "10.0.0.1", 22).close()
    with pytest.raises(ConnectionRefusedError):
        line(two, one, "10.0.0.2", 22)
    with pytest.raises(TimeoutError):
        line(one, two, "10.0.0.1", 23, patience=2.0)
    with line(two, one, "10.0.0.2", 24), pytest.raises(TimeoutError):
        line(two, one, "10.0.0.2", 24, patience=2.0)
    # Chains in chains change in use, too.
    told = "<parameter name='IP' value='10.0.0.2'/>"
    await driver.binding_create(
        BINDING.format(owner=OWNER, device="vnet2", mac=TWO, filter="clean-traffic", parameters=told)
    )
    xml = await driver.filter_xml((await driver.filter_find("no-ip-spoofing")).uuid)
    await driver.filter_define(xml.replace("1000", "999"))
    line(one, two, "10.0.0.1", 22).close()
    two.run("ip", "address", "add", "10.0.0.9/24", "dev", "eth0")
    with pytest.raises(TimeoutError):
        line(two, one, "10.0.0.9", 24, patience=2.0)
    await driver.binding_delete("vnet2")
    await driver.binding_delete("vnet1")
    line(two, one, "10.0.0.2", 22).close()
    await driver.close()
