"""Cards whose bridge keeps VLANs apart: what one sends, and who gets it how."""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import time
from pathlib import Path

import pytest

from vmherd.conf.domain.net import Interface
from vmherd.hypervisors.qemu.host import taps
from vmherd.util.xmlmodel import parse

pytestmark = pytest.mark.kernel("bridge with vlan_filtering, tun")

CARD = """
<interface type='bridge'><mac address='52:54:00:00:00:{number:02x}'/><source bridge='br5'{manager}/>
  {vlan}<model type='e1000'/></interface>
"""
ANY = bytes.fromhex("ffffffffffff")
ETHERTYPE = bytes.fromhex("88b5")  # for experiments
SECONDS = 1.0


def plugged(numbers: Path, number: int, vlan: str = "", manager: str = "") -> int:
    """The guest's end of a card."""
    card = parse(Interface, CARD.format(number=number, vlan=vlan and f"<vlan{vlan}</vlan>", manager=manager))
    (fd,) = asyncio.run(taps.connect(card, numbers))
    os.set_blocking(fd, False)
    return fd


def frames(fds: list[int]) -> list[list[bytes]]:
    """What each card gets of experiments."""
    got: list[list[bytes]] = [[] for _ in fds]
    end = time.monotonic() + SECONDS
    while (left := end - time.monotonic()) > 0:
        for fd in select.select(fds, [], [], left)[0]:
            frame = os.read(fd, 2000)
            if b"experiment" in frame:
                got[fds.index(fd)].append(frame)
    return got


@pytest.fixture(autouse=True)
def bridge() -> None:
    subprocess.run("modprobe tun; ip link del br5 2> /dev/null; ip link add br5 type bridge", shell=True, check=True)
    subprocess.run("ip link set br5 up type bridge mcast_snooping 0", shell=True, check=True)


def test_cards_reach_those_of_their_vlan_and_trunks_see_the_tags(tmp_path: Path) -> None:
    five, other_five, six, trunk, native, bare = (
        plugged(tmp_path, number, vlan)
        for number, vlan in enumerate(
            (
                "><tag id='5'/>",
                "><tag id='5'/>",
                "><tag id='6'/>",
                " trunk='yes'><tag id='5'/><tag id='6'/>",
                " trunk='yes'><tag id='5' nativeMode='untagged'/><tag id='7'/>",
                "",
            )
        )
    )
    os.write(five, ANY + bytes.fromhex("525400000000") + ETHERTYPE + b"experiment".ljust(60, b"\0"))
    _, to_five, to_six, to_trunk, to_native, to_bare = frames([five, other_five, six, trunk, native, bare])
    assert [len(each) for each in (to_five, to_six, to_trunk, to_native, to_bare)] == [1, 0, 1, 1, 0]
    assert to_five[0][12:14] == to_native[0][12:14] == ETHERTYPE
    assert to_trunk[0][12:16] == bytes.fromhex("81000005")


def test_a_bridge_that_does_not_learn_knows_its_cards(tmp_path: Path) -> None:
    manager = " macTableManager='libvirt'"
    one, two, three = (plugged(tmp_path, number, manager=manager) for number in (1, 2, 3))
    source = bytes.fromhex("525400000001") + ETHERTYPE
    os.write(one, bytes.fromhex("525400000002") + source + b"experiment two".ljust(60, b"\0"))
    os.write(one, bytes.fromhex("525400000099") + source + b"experiment nobody".ljust(60, b"\0"))
    assert [len(each) for each in frames([one, two, three])] == [0, 1, 0]
