"""Interfaces that the kernel for tests lacks: VLANs and bonds, alone and in one another."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vmherd.driver.uri import parse_uri
from vmherd.errors import HostError
from vmherd.resources.interface.driver import LocalInterfaces
from vmherd.resources.interface.links import read

pytestmark = pytest.mark.kernel("8021q, bonding, dummy")

BOND = """<bond mode='active-backup'><miimon freq='100' updelay='200' carrier='netif'/>
<interface type='ethernet' name='one'/><interface type='ethernet' name='two'/></bond>"""
VLAN = "<vlan tag='42'><interface name='{}'/></vlan>"
STACK = f"""<interface type='bridge' name='br7'><start mode='none'/>
<mtu size='1400'/>
<protocol family='ipv4'><ip address='10.66.0.2' prefix='24'/><route gateway='10.66.0.1'/></protocol>
<bridge stp='off'><interface type='bond' name='bond7'>{BOND}</interface></bridge></interface>"""
TAGGED = f"<interface type='vlan' name='br7.42'><start mode='none'/>{VLAN.format('br7')}</interface>"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@pytest.fixture
async def interfaces(tmp_path: Path) -> AsyncIterator[LocalInterfaces]:
    for name in ("one", "two"):
        ip("link", "add", name, "type", "dummy")
        ip("link", "set", name, "up")
    ip("addr", "add", "10.66.0.9/24", "dev", "one")
    interfaces = await LocalInterfaces.open(parse_uri(f"qemu:///embed?root={tmp_path}"))
    yield interfaces
    await interfaces.close()
    for name in ("one", "two"):
        ip("link", "del", name)


async def test_a_bridge_over_a_bond_comes_whole_or_not_at_all_and_goes(interfaces: LocalInterfaces) -> None:
    before = await read()
    await interfaces.interface_define(STACK.replace("name='two'", "name='three'"))
    with pytest.raises(HostError, match="three"):
        await interfaces.interface_start("br7")
    now = await read()
    assert (now["one"].addresses, now["one"].up, now.keys()) == (before["one"].addresses, True, before.keys())

    await interfaces.interface_define(STACK)
    await interfaces.interface_start("br7")
    text = await interfaces.interface_xml("br7")
    lines = ("<mtu size='1400'/>", "<ip address='10.66.0.2' prefix='24'/>", "<route gateway='10.66.0.1'/>")
    inner = ("<bond mode='active-backup'>", "<miimon freq='100' updelay='200'/>", "name='one'", "name='two'")
    assert [line for line in lines + inner if line not in text] == [], text
    assert (await read())["one"].addresses == []

    await interfaces.interface_define(TAGGED)
    await interfaces.interface_start("br7.42")
    assert VLAN.format("br7") in " ".join((await interfaces.interface_xml("br7.42")).split()).replace("> <", "><")
    listed = {info.name for info in await interfaces.interface_list()}
    assert listed & {"one", "two", "bond7", "br7", "br7.42"} == {"br7", "br7.42"}
    await interfaces.interface_stop("br7.42")
    await interfaces.interface_stop("br7")
    assert (await read()).keys() == before.keys()
