"""Bridges of the kernel that keep VLANs apart, and whose table of addresses is ours."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from vmherd.conf.domain.net import Interface
from vmherd.driver.network import NetworkDriver
from vmherd.driver.registry import lent
from vmherd.driver.uri import parse_uri
from vmherd.hypervisors.qemu.host import taps
from vmherd.util.xmlmodel import parse

pytestmark = pytest.mark.kernel("BRIDGE_VLAN_FILTERING")

CARD = """<interface type='bridge'><mac address='52:54:00:00:66:0{number}'/><source bridge='br6' {more}/>
<target dev='tap{number}'/>{vlan}<model type='e1000'/></interface>"""
TAG = "<vlan><tag id='{}'/></vlan>"
NETWORK = """<network><name>ours</name><forward mode='open'/><bridge name='br6' stp='off' macTableManager='libvirt'/>
<ip address='10.66.6.1' prefix='24'/></network>"""


def card(number: int, vlan: str = "", more: str = "") -> Interface:
    return parse(Interface, CARD.format(number=number, vlan=vlan, more=more))


def frame(source: int, target: str = "ffffffffffff") -> bytes:
    """An Ethernet frame of a type that nobody answers."""
    return bytes.fromhex(f"{target}52540000660{source}88b5") + b"here".ljust(50)


def passes(sent: int, received: int, what: bytes) -> bool:
    """Whether a frame that one card sends arrives at another; whatever else does is dropped."""
    os.write(sent, what)
    os.set_blocking(received, False)
    found = False
    for _ in range(100):
        try:
            found |= os.read(received, 2000)[:14] == what[:14]
        except BlockingIOError:
            break
    return found


@pytest.fixture(scope="module", autouse=True)
def drivers() -> None:
    subprocess.run(["modprobe", "-a", "tun", "bridge"], check=True)


@pytest.fixture
def bridge() -> Iterator[None]:
    subprocess.run(["ip", "link", "add", "br6", "type", "bridge"], check=True)
    subprocess.run(["ip", "link", "set", "br6", "up"], check=True)
    yield
    subprocess.run(["ip", "link", "del", "br6"], check=True)


@pytest.mark.usefixtures("bridge")
async def test_cards_meet_those_of_their_vlan_alone(tmp_path: Path) -> None:
    cards = [card(1, TAG.format(5)), card(2, TAG.format(5)), card(3, TAG.format(6)), card(4)]
    one, two, three, four = [(await taps.connect(each, tmp_path / "numbers"))[0] for each in cards]
    assert passes(one, two, frame(1))
    assert not passes(one, three, frame(1))
    assert not passes(one, four, frame(1))
    assert not passes(three, two, frame(3))
    for fd in (one, two, three, four):
        os.close(fd)


async def test_a_bridge_whose_table_is_ours_floods_no_strange_addresses(tmp_path: Path) -> None:
    async with lent(NetworkDriver, parse_uri(f"qemu:///embed?root={tmp_path}")) as networks:
        made = await networks.network_define(NETWORK)
        await networks.network_start(made.uuid)
        cards = [card(1, more="macTableManager='libvirt'"), card(2, more="macTableManager='libvirt'")]
        one, two = [(await taps.connect(each, tmp_path / "numbers"))[0] for each in cards]
        assert passes(one, two, frame(1, "525400006602"))
        assert not passes(one, two, frame(1, "525400006699"))
        for fd in (one, two):
            os.close(fd)
        await networks.network_stop(made.uuid)
