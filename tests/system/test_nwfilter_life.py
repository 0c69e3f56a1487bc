"""The lives of network filters and of cards that have them: changes, flushes, sudden ends, many at once."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest
from filtered import BINDING, ONE, OWNER, SIGN, TWO, Ground, from_address, until
from frames import ethernet, udp
from namespaces import Host, missing

from vmherd.driver.uri import parse_uri
from vmherd.resources.nwfilter.driver import LocalFilters

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(missing("nft", "virsh")), reason=missing("nft", "virsh")),
]

HONEST = from_address("10.0.0.1")


@pytest.fixture
def ground(own: Host, tmp_path: Path) -> Iterator[Ground]:
    with Ground(own, tmp_path) as ground:
        yield ground


DROP = "<rule action='drop' direction='out' priority='-900'><ip srcipaddr='{}'/></rule>"


def test_a_filter_in_use_changes_everywhere_or_nowhere(ground: Ground) -> None:
    first, second = from_address("10.0.0.1"), from_address("10.0.0.2")
    ground.define("inner", DROP.format("10.0.0.1"))
    ground.define("outer", "<filterref filter='inner'/>", uuid=8)
    ground.bind("vnet1", "outer")
    ground.bind("vnet2", "inner", mac=TWO)

    def effect() -> tuple[bool, ...]:
        back = (udp(TWO, ONE, address, "10.0.0.1", ports=(1, 2000)) for address in ("10.0.0.1", "10.0.0.2"))
        sign = ethernet(TWO, ONE, 0x88B5, b"sign")
        return *(ground.sent(each, SIGN) for each in (first, second)), *(ground.received(each, sign) for each in back)

    assert effect() == (False, True, False, True)
    assert "defined" in ground.define("inner", DROP.format("10.0.0.2"))
    assert effect() == (True, False, True, False)
    assert "unresolvable variables" in ground.define("inner", DROP.format("$NOBODYS"))
    assert "ipset" in ground.define("inner", "<rule action='drop' direction='in'><all ipset='s'/></rule>")
    assert "missing" in ground.define("inner", "<filterref filter='nobodys'/>")
    assert "would introduce a loop" in ground.define("inner", "<filterref filter='outer'/>")
    assert effect() == (True, False, True, False)
    assert DROP.format("10.0.0.2")[:40] in ground.virsh("nwfilter-dumpxml", "inner")

    assert "Network filter not found" in ground.virsh("nwfilter-dumpxml", "nobodys")
    assert "Network filter binding not found" in ground.virsh("nwfilter-binding-dumpxml", "nobodys")
    assert "nwfilter is in use" in ground.virsh("nwfilter-undefine", "inner")
    assert f"already exists with uuid {UUID(int=7)}" in ground.define("inner", "", uuid=9)
    assert "same UUID but different name ('inner')" in ground.define("other", "", uuid=7)
    assert "already exists" in ground.bind("vnet1", "inner")
    for device in ("vnet1", "vnet2"):
        assert "deleted" in ground.virsh("nwfilter-binding-delete", device)
    assert "undefined" in ground.virsh("nwfilter-undefine", "inner")
    assert "referenced filter 'inner' is missing" in ground.bind("vnet1", "outer")
    assert effect() == (True, True, True, True)


def test_the_filters_of_libvirt_are_there_and_stay_as_somebody_made_them(ground: Ground) -> None:
    there = [line.split()[1] for line in ground.virsh("nwfilter-list").splitlines()[2:]]
    assert len(there) == 24
    assert {"clean-traffic", "no-mac-spoofing", "allow-dhcp", "qemu-announce-self-rarp"} < set(there)
    for name in there:
        if name != "clean-traffic-gateway":
            values = {"IP": "10.0.0.1", "IPV6": "fd00::1", "DHCPSERVER": "fd00::2" if "v6" in name else "10.0.0.2"}
            assert "created" in ground.bind("vnet1", name, **values), name
            assert name in ground.virsh("nwfilter-binding-dumpxml", "vnet1")
            ground.virsh("nwfilter-binding-delete", "vnet1")
    ground.virsh("nwfilter-undefine", "allow-arp")
    ground.daemon.signal(9)
    ground.daemon.wait()
    ground.daemon.start(words=ground.own.words)
    assert "allow-arp" not in ground.virsh("nwfilter-list")


def test_rules_come_back_after_a_flush_and_go_with_their_device(ground: Ground) -> None:
    ground.bind("vnet1", "clean-traffic", IP="10.0.0.1")
    ground.own.run("nft", "flush", "ruleset")
    assert ground.sent(from_address("10.0.0.9"), SIGN)
    assert "created" in ground.bind("vnet2", "clean-traffic", mac=TWO, IP="10.0.0.2")
    assert not ground.sent(from_address("10.0.0.9"), HONEST), "whoever changes rules sees it"
    ground.own.run("nft", "flush", "table", "bridge", ground.own.run("nft", "list", "tables", "bridge").split()[-1])
    until(lambda: not ground.sent(from_address("10.0.0.9"), HONEST), 15.0)
    ground.own.run("ip", "link", "del", "vnet2")
    until(lambda: "vnet2" not in ground.virsh("nwfilter-binding-list"), 15.0)
    assert "vnet2" not in ground.own.run("nft", "list", "ruleset")


#: Ends whoever asks, before or after the rules are in the kernel.
DEADLY = """#!/bin/sh
case "$*" in *--check*|*list*) exec {nft} "$@";; esac
test -e {flag} || exec {nft} "$@"
rm {flag}
test {when} = before || {nft} "$@"
kill -9 $PPID
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_sudden_end_leaves_no_card_half_bound(ground: Ground, tmp_path: Path, when: str) -> None:
    flag, nft = tmp_path / "flag", tmp_path / "bin" / "nft"
    nft.parent.mkdir()
    nft.write_text(DEADLY.format(nft=shutil.which("nft"), flag=flag, when=when))
    nft.chmod(0o755)
    spoofed, honest = from_address("10.0.0.9"), HONEST

    def end_in(act: Callable[[], str]) -> None:
        ground.daemon.__exit__()
        ground.daemon.start(words=ground.own.words, env=os.environ | {"PATH": f"{nft.parent}:{os.environ['PATH']}"})
        flag.touch()
        act()
        assert ground.daemon.wait() == -9
        ground.daemon.start(words=ground.own.words)

    end_in(lambda: ground.bind("vnet1", "clean-traffic", IP="10.0.0.1"))
    assert "vnet1" in ground.virsh("nwfilter-binding-list")
    assert not ground.sent(spoofed, honest)

    def redefine() -> str:
        xml = ground.virsh("nwfilter-dumpxml", "no-ip-spoofing").replace("drop", "accept")
        return ground.virsh("nwfilter-define", ground.document(xml))

    end_in(redefine)
    assert "drop" not in ground.virsh("nwfilter-dumpxml", "no-ip-spoofing")
    assert ground.sent(spoofed, honest)
    end_in(lambda: ground.virsh("nwfilter-binding-delete", "vnet1"))
    assert "vnet1" not in ground.virsh("nwfilter-binding-list")
    assert "vmherd" not in ground.own.run("nft", "list", "ruleset")


async def bind_many(uri: str, first: str) -> None:
    """Bind and let go of many cards at once, some of them twice or wrongly; half of them stay."""
    driver = await LocalFilters.open(parse_uri(uri))
    names = [f"tap{first}{number}" for number in range(50)]

    async def bind(name: str, filter_: str = "clean-traffic") -> None:
        parameters = "<parameter name='IP' value='10.0.0.1'/>"
        values = {"owner": OWNER, "mac": ONE, "filter": filter_, "parameters": parameters}
        await driver.binding_create(BINDING.format(device=name, **values))

    async def come_and_go(name: str) -> None:
        await bind(name)
        if int(name[4:]) % 2:
            await driver.binding_delete(name)

    wrong = [bind(names[0]), bind("tapx", "nobodys"), bind("tapy", "clean-traffic-gateway")]
    found = await asyncio.gather(*map(come_and_go, names), *wrong, return_exceptions=True)
    errors = [str(each).split(" ")[0] for each in found if each is not None]
    assert errors == ["binding", "referenced", "Cannot"], errors
    await driver.close()


def test_many_cards_come_and_go_at_once_in_several_processes(own: Host, tmp_path: Path) -> None:
    uri = f"qemu:///embed?root={tmp_path}"
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda first: own.scenario(__file__, "bind_many", uri, first), "abc"))
    rules = own.run("nft", "list", "ruleset")
    left = {f"tap{first}{number}" for first in "abc" for number in range(0, 50, 2)}
    for name in ("sent2", "received2"):
        assert set(re.findall(rf'"(\w+)" : jump {name}-', rules)) == left
    assert rules.count("ether saddr 52:54:00:00:00:01 return") == len(left)
