"""The ground that tests of networks stand on: what is done in namespaces stays there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from namespaces import Host

pytestmark = pytest.mark.root


async def leave_traces(name: str) -> None:
    os.makedirs("/var/lib/vmherd/traces")
    assert not (Path("/sys/class/net") / name).exists()
    assert os.system(f"ip link add {name} type bridge") == 0
    print((Path("/sys/class/net") / name).exists())


def test_what_is_done_inside_stays_inside(own: Host) -> None:
    assert own.scenario(__file__, "leave_traces", "trace0") == "True\n"
    assert not Path("/sys/class/net/trace0").exists()
    assert not Path("/var/lib/vmherd/traces").exists()
    assert "trace0" in own.run("ip", "link")


def test_guests_in_one_bridge_reach_each_other(own: Host) -> None:
    own.run("ip", "link", "add", "br0", "up", "type", "bridge")
    one, two = (own.guest(f"tap{number}", "br0", f"52:54:00:00:00:0{number}") for number in (1, 2))
    one.run("ip", "address", "add", "10.0.0.1/24", "dev", "eth0")
    two.run("ip", "address", "add", "10.0.0.2/24", "dev", "eth0")
    two.run("ping", "-c1", "-W5", "10.0.0.1")
    assert two.processes() == {}
