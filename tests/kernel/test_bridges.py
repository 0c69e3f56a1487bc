"""The bridge of a network whose table of addresses is ours, not the kernel's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from vmherd.conf.domain.net import Interface
from vmherd.driver.network import NetworkDriver
from vmherd.driver.registry import lent
from vmherd.driver.uri import parse_uri
from vmherd.hypervisors.qemu.host import taps
from vmherd.util.xmlmodel import parse

pytestmark = pytest.mark.kernel("BRIDGE_VLAN_FILTERING")

CARD = """<interface type='bridge'><mac address='52:54:00:00:66:0{number}'/>
<source bridge='br6' macTableManager='libvirt'/><target dev='tap{number}'/><model type='e1000'/></interface>"""
NETWORK = """<network><name>ours</name><forward mode='open'/><bridge name='br6' stp='off' macTableManager='libvirt'/>
<ip address='10.66.6.1' prefix='24'/></network>"""


def card(number: int) -> Interface:
    return parse(Interface, CARD.format(number=number))


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


async def test_a_bridge_whose_table_is_ours_floods_no_strange_addresses(tmp_path: Path) -> None:
    async with lent(NetworkDriver, parse_uri(f"qemu:///embed?root={tmp_path}")) as networks:
        made = await networks.network_define(NETWORK)
        await networks.network_start(made.uuid)
        one, two = [(await taps.connect(card(number), tmp_path / "numbers"))[0] for number in (1, 2)]
        assert passes(one, two, frame(1, "525400006602"))
        assert not passes(one, two, frame(1, "525400006699"))
        for fd in (one, two):
            os.close(fd)
        await networks.network_stop(made.uuid)
