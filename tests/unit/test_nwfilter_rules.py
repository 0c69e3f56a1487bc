"""What filters become: the rules of one card in nftables' words, without a kernel."""

from __future__ import annotations

import re

import pytest

from vmherd.conf.nwfilter import Filter, parse_filter
from vmherd.errors import FilterNotFound, InvalidArgument, OperationFailed, Unsupported
from vmherd.resources.nwfilter import builtin, script, tree
from vmherd.resources.nwfilter.chains import CardRules, compile_card
from vmherd.resources.nwfilter.learning import Learning, learning_of
from vmherd.resources.nwfilter.tracking import Bridged, Marked, Tracker

VALUES = {"MAC": ("52:54:00:00:00:01",), "IP": ("10.0.0.1", "10.0.0.2"), "P": ("7", "8"), "Q": ("5", "6", "5")}


def rule(inside: str, direction: str = "out", action: str = "accept", more: str = "") -> str:
    return f"<rule action='{action}' direction='{direction}' {more}>{inside}</rule>"


def filters(*documents: str) -> tree.Find:
    known = {each.name: each for each in map(parse_filter, documents)}

    def find(name: str) -> Filter:
        if name not in known:
            raise FilterNotFound(name)
        return known[name]

    return find


def compiled(*documents: str, tracker: Tracker | None = None, rejects: bool = False) -> CardRules:
    """The rules of a card with the first filter."""
    name = parse_filter(documents[0]).name
    return compile_card(tree.flatten(name, filters(*documents), VALUES), tracker or Bridged(), rejects=rejects)


def of(rules: str, **more: bool) -> CardRules:
    return compiled(f"<filter name='f'>{rules}</filter>", **more)


def test_chains_and_rules_come_in_the_order_of_their_priorities() -> None:
    card = compiled(
        "<filter name='f'>" + rule("<mac/>", more="priority='-650'") + "<filterref filter='late'/>"
        "<filterref filter='early'/>" + rule("", action="drop") + rule("<mac/>", more="priority='-700'") + "</filter>",
        "<filter name='early' chain='ipv4-a'>" + rule("<mac/>", action="return") + "</filter>",
        "<filter name='late' chain='arp'>"
        + rule("", action="drop")
        + rule("<arp/>", more="priority='9'")
        + "</filter>",
    )
    assert card.sent == (
        "ether type 0x0800 jump { return; }",
        "accept",
        "accept",
        "ether type 0x0806 jump { ether type 0x0806 accept; drop; }",
        "drop",
    )
    assert card.received == ()


@pytest.mark.parametrize(
    ("inside", "combinations"),
    [
        ("<udp srcipaddr='$IP' srcportstart='$P'/>", {("10.0.0.1", "7"), ("10.0.0.2", "8")}),
        (
            "<udp srcipaddr='$IP[@1]' srcportstart='$P[@2]'/>",
            {("10.0.0.1", "7"), ("10.0.0.2", "8"), ("10.0.0.1", "8"), ("10.0.0.2", "7")},
        ),
        ("<udp srcipaddr='$IP[1]' srcportstart='$Q[@1]'/>", {("10.0.0.2", "5"), ("10.0.0.2", "6")}),
    ],
)
def test_a_rule_becomes_one_for_each_combination_of_values(inside: str, combinations: set[tuple[str, str]]) -> None:
    found = [re.findall(r"ip saddr == (\S+) th sport == (\d+)", each) for each in of(rule(inside)).sent_traffic]
    assert len(found) == len(combinations)
    assert {one for each in found for one in each} == combinations


@pytest.mark.parametrize(
    ("rules", "error", "words"),
    [
        (rule("<udp srcipaddr='$IP' srcportstart='$Q'/>"), InvalidArgument, "3 values"),
        (rule("<ip srcipaddr='$MAC'/>"), InvalidArgument, "52:54:00:00:00:01"),
        (rule("<all ipset='x'/>"), Unsupported, "ipset"),
        (rule("<ip match='no' protocol='tcp' dstportstart='1'/>"), Unsupported, "match='no'"),
        (rule("<rarp gratuitous='true'/>"), Unsupported, "RARP"),
        ("<filterref filter='nobodys'/>", FilterNotFound, "nobodys"),
    ],
)
def test_what_cannot_be_said_is_refused(rules: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        of(rules)


TELLS = "ether type 0x0800 meta l4proto 6 {} == 22{} accept"
FORTH, BACK = " ct state { new, established } ct direction original", " ct state { established } ct direction reply"


@pytest.mark.parametrize(
    ("direction", "more", "protocol", "sent", "received"),
    [
        ("in", "", "", ["th sport" + BACK], ["th dport" + FORTH]),
        ("out", "", "", ["th dport" + FORTH], ["th sport" + BACK]),
        ("inout", "", "", ["th sport"], ["th dport"]),
        ("in", "statematch='false'", "", ["th sport"], ["th dport"]),
        ("in", "", "state='NEW'", [], ["th dport ct state { new }"]),
        ("out", "", "state='NONE'", ["th dport"], []),
        ("inout", "", "state='RELATED'", ["th sport ct state { related }"], ["th dport ct state { related }"]),
    ],
)
def test_connections_are_looked_at_as_the_direction_says(
    direction: str, more: str, protocol: str, sent: list[str], received: list[str]
) -> None:
    card = of(rule(f"<tcp dstportstart='22' {protocol}/>", direction, more=more))
    for side, told in ((card.sent_traffic, sent), (card.received_traffic, received)):
        assert side == tuple(TELLS.format(one[:8], one[8:]) for one in told)
    assert card.tracked == any(" ct " in one for one in sent + received)


def test_a_kernel_without_connections_on_bridges_reads_notes_of_them() -> None:
    inside = rule("<tcp dstportstart='22'/>", "in")
    card = compiled(f"<filter name='f'>{inside}</filter>", tracker=Marked())
    assert card.received_traffic[0].endswith("th dport == 22 meta mark & 0xf0000000 { 0x10000000, 0x20000000 } accept")
    assert "meta mark & 0xf0000000 { 0xa0000000 }" in card.sent_traffic[0]
    with pytest.raises(Unsupported, match="count"):
        compiled("<filter name='f'>" + rule("<tcp connlimit-above='2'/>", "in") + "</filter>", tracker=Marked())


def test_only_what_a_guest_sends_can_be_answered() -> None:
    card = of(rule("<all/>", "inout", action="reject") + rule("<ip/>", "inout", action="reject"), rejects=True)
    assert (card.sent_traffic, card.received_traffic) == (("ether type 0x0800 reject",), ("ether type 0x0800 drop",))
    assert (card.sent, card.received) == (("ether type 0x0800 drop",),) * 2


def test_values_from_outside_go_before_those_of_a_reference() -> None:
    inner = "<filter name='g'>" + rule("<ip srcipaddr='$IP' dscp='$D[0]'/>") + "</filter>"
    given = "<parameter name='IP' value='10.9.9.9'/><parameter name='D' value='7'/>"
    card = compiled(f"<filter name='f'><filterref filter='g'>{given}</filterref></filter>", inner)
    assert ["ip saddr == 10.0.0.1" in each and "ip dscp == 7" in each for each in card.sent] == [True, False]


def test_filters_that_grow_beyond_all_bounds_are_refused() -> None:
    doubled = [f"<filter name='f{i}'>{f'''<filterref filter='f{i + 1}'/>''' * 2}</filter>" for i in range(30)]
    for last in (rule(""), ""):
        with pytest.raises(InvalidArgument, match="more than"):
            compiled(*doubled, f"<filter name='f30'>{last}</filter>")
    long = [f"<filter name='f{i}'><filterref filter='f{i + 1}'/></filter>" for i in range(200)]
    with pytest.raises(InvalidArgument, match="deep"):
        compiled(*long)
    with pytest.raises(OperationFailed, match="loop"):
        tree.require_no_loop(parse_filter("<filter name='f9'><filterref filter='f0'/></filter>"), filters(*long))


def test_what_is_missing_is_learned_or_told() -> None:
    assert learning_of(set(), {}) is Learning.NOTHING
    assert learning_of({"IP"}, {}) is Learning.ANY
    assert learning_of({"IP"}, {"CTRL_IP_LEARNING": ("DHCP",)}) is Learning.DHCP
    for missing in ({"IP", "X"}, {"X"}, {"IP[3]"}):
        with pytest.raises(OperationFailed, match="unresolvable"):
            learning_of(missing, {})


def test_builtin_filters_refer_to_each_other_only() -> None:
    known = {each.name: each for each in builtin.documents()}
    assert len({each.uuid for each in known.values()}) == len(known) == 24
    values = {"MAC": ("52:54:00:00:00:01",)}
    needed = {name: tree.missing(tree.flatten(name, known.__getitem__, values)) for name in known}
    assert needed["clean-traffic"] == {"IP"}
    assert needed["clean-traffic-gateway"] == {"IP", "GATEWAY_MAC"}
    assert needed["allow-dhcp-server"] == needed["allow-dhcpv6-server"] == {"DHCPSERVER"}
    assert needed["no-ipv6-spoofing"] == {"IPV6"}


@pytest.mark.parametrize("device", ["", "a" * 16, 'a"b', "a b", "a*", "a;b", "ä"])
def test_devices_whose_names_are_no_words_of_nftables_are_refused(device: str) -> None:
    with pytest.raises(InvalidArgument):
        script.require_name(device)


def test_devices_of_all_names_have_chains_of_their_own() -> None:
    names = ["vnet0", "vnet.0", "vnet@0", "vnet:0", "vnet+0"]
    words = script.change("t", dict.fromkeys(names, CardRules(sent=("drop",))), "m", marks=False)
    chains = re.findall(r"add chain bridge t (sent2-\S+)", words)
    assert len(set(chains)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9/_.\-]*", chain) for chain in chains)
