"""Rates of network devices where the kernel has the police that libvirt uses, too."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time

import pytest

from vmherd.util.traffic import Rate, limit

pytestmark = pytest.mark.kernel("act_police, sch_htb")

NET = "rates"
SEND = """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.monotonic() + 3
while time.monotonic() < end:
    s.sendto(bytes(1000), ("10.77.0.1", 7777))
    time.sleep(0.0002)
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@pytest.fixture(autouse=True)
def cable() -> None:
    """A device ``here``, whose other end is in a namespace."""
    ip("netns", "add", NET)
    ip("link", "add", "here", "type", "veth", "peer", "name", "there", "netns", NET)
    for inside, name, address in ((False, "here", "10.77.0.1/24"), (True, "there", "10.77.0.2/24")):
        where = ["-n", NET] if inside else []
        ip(*where, "addr", "add", address, "dev", name)
        ip(*where, "link", "set", name, "up")


def received(seconds: float) -> float:
    """Bytes per second that arrive while the other end sends millions."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("10.77.0.1", 7777))
        ours.settimeout(10)
        sender = subprocess.Popen(["ip", "netns", "exec", NET, "python3", "-S", "-c", SEND])
        ours.recv(2000)
        size, began = 0, time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            size += len(ours.recv(2000))
        sender.kill()
        sender.wait()
    return size / (now - began)


def test_what_is_received_too_fast_is_dropped_by_the_police() -> None:
    assert received(1) > 100_000
    asyncio.run(limit("here", received=Rate(average=30_000, burst=5_000)))
    told = subprocess.run(
        ["tc", "filter", "show", "dev", "here", "ingress"], capture_output=True, text=True, check=True
    )
    assert "police" in told.stdout
    assert received(1.5) < 60_000
