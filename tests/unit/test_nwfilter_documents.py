"""Documents of network filters and bindings: every attribute of every protocol, as libvirt reads and writes it."""

from __future__ import annotations

from typing import get_type_hints

import pytest
from tried import untried

from vmherd.conf.inspection import Inspection
from vmherd.conf.nwfilter import Binding, Filter, Rule, parse_binding, parse_filter, render, values
from vmherd.errors import DocumentError
from vmherd.util.xmlmodel import Element, Kind, declared

UUID = "<uuid>5c6d49af-b071-6127-b4ec-6f8ed4b55335</uuid>"
#: What each type of value takes, with what is written; then what it refuses.
TYPES: dict[object, tuple[dict[str, str], list[str]]] = {
    values.UInt8: ({"255": "255", "0xFF": "0xff", "010": "10", " +1": "1"}, ["256", "0x100", "-1", "", "x", "1 "]),
    values.UInt16: ({"65535": "65535", "0xABcd": "0xabcd"}, ["65536", "0x10000", "1.5", "9" * 30]),
    values.UInt32: ({"4294967295": "4294967295", "0xffffffff": "0xffffffff"}, ["4294967296", "-1"]),
    values.Count: ({"65535": "65535"}, ["65536", "0x1"]),
    values.Dscp: ({"63": "63", "0x3F": "0x3f"}, ["64", "0x40"]),
    values.VlanId: ({"4095": "4095", "0xfff": "0xfff"}, ["4096"]),
    values.Ethertype: ({"IPv4": "ipv4", "2054": "arp", "0x8100": "vlan", "0x600": "0x600"}, ["1535", "65536", "ip"]),
    values.InnerEthertype: ({"RARP": "rarp", "0x86dd": "ipv6", "60": "60"}, ["59", "0x10000"]),
    values.IpProtocol: ({"6": "tcp", "0x11": "udp", "SCTP": "sctp", "33": "33", "0x21": "0x21"}, ["256", "dccp"]),
    values.ArpOpcode: ({"0x2": "Reply", "arp_nak": "ARP_NAK", "0x600": "1536"}, ["65536", "Ask"]),
    values.MacAddress: ({"1:2:3:4:A:b": "01:02:03:04:0a:0b"}, ["1:2:3:4:5", "1-2-3-4-5-6", ""]),
    values.MacMask: ({"FF:ff:ff:ff:ff:80": "ff:ff:ff:ff:ff:80", "0:0:0:0:0:0": "00:00:00:00:00:00"}, ["ff:0:ff:0:0:0"]),
    values.IPv4: ({"10.1.2.3": "10.1.2.3", "10.1": "10.0.0.1"}, ["10.1.2.256", "::1", "10.1.2.3 x", "", "host"]),
    values.IPv4Mask: ({"24": "24", "255.255.128.0": "17", "0.0.0.0": "0"}, ["33", "-1", "255.0.255.0", "ffff::"]),
    values.IPv6: ({"A:b:C::": "a:b:c::", "::ffff:10.1.2.3": "::ffff:10.1.2.3"}, ["a:b:c", "10.1.2.3", "fe80::1%eth0"]),
    values.IPv6Mask: ({"128": "128", "ffff::": "16", "fe00::": "7"}, ["129", "ffff:0:ffff::", "255.0.0.0"]),
    values.Boolean: ({"1": "true", "yes": "true", "no": "false"}, ["True", ""]),
    values.TcpFlags: (
        {"syn , ACK/": "SYN,ACK/NONE", "SYN,FIN/ALL": "FIN,SYN/ALL", "FIN,SYN,RST,PSH,ACK,URG/SYN": "ALL/SYN"},
        ["SYN", "SYN/SYN/ACK", "ECE/SYN", ""],
    ),
    values.States: ({"RELATED,new": "NEW,RELATED", "NEW,NONE": "NONE"}, ["UNTRACKED", "", ","]),
    values.SetName: ({"test:_.-+ 1": "test:_.-+ 1"}, ["a/b", "x" * 32, ""]),
    values.SetFlags: ({"SRC,dst": "src,dst"}, ["src,", "src,dst,src,dst,src,dst,src", "source"]),
}
VARIABLES = {"$A": "$A", "$a_1[ 0 ] ": "$a_1[0]", "$A[@ 2]": "$A[@2]", "$A[@0]": "$A"}
NO_VARIABLES = ["$", "$A-b", "$ A", "$A[", "$A[]", "$A[@1001]", "$A[4294967296]", "$A[1]x"]
PROTOCOLS: tuple[type[Element], ...] = next(each for each in declared(Rule) if each.name == "protocols").classes


def filter_of(inside: str) -> Filter:
    return parse_filter(f"<filter name='f'>{UUID}<rule action='drop' direction='in'>{inside}</rule></filter>")


def attributes(protocol: type[Element]) -> list[tuple[str, str, object]]:
    """Its attributes that hold values: field, name, and which of the types above."""
    hints = get_type_hints(protocol, include_extras=True)
    return [
        (each.name, each.xml, next(one for one in TYPES if hints[each.name] == one | None))
        for each in declared(protocol)
        if each.kind is Kind.ATTR and each.name not in ("match", "comment")
    ]


def complete(protocol: type[Element]) -> Filter:
    """A rule that says all it can of a protocol."""
    tag = protocol.__xml__.tag
    words = (f" {name}='{next(iter(TYPES[type_][0]))}'" for _, name, type_ in attributes(protocol))
    return filter_of(f"<{tag} match='no' comment='c'{''.join(words)}/>")


def needed(name: str, tag: str) -> str:
    """What must go along with an attribute."""
    return " protocol='sctp'" if tag in ("ip", "ipv6") and "port" in name else ""


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.__xml__.tag)
def test_every_attribute_takes_what_its_type_does(protocol: type[Element]) -> None:
    tag = protocol.__xml__.tag
    for field, name, type_ in attributes(protocol):
        good, bad = TYPES[type_]
        for text, canonical in (good | VARIABLES).items():
            read = filter_of(f"<{tag} {name}='{text}'{needed(name, tag)}/>")
            assert getattr(read.entries[0].protocols[0], field) == canonical
            assert f" {name}='{canonical}'" in render(read)
            assert parse_filter(render(read)) == read
        for text in bad + NO_VARIABLES:
            with pytest.raises(DocumentError) as caught:
                filter_of(f"<{tag} {name}='{text}'{needed(name, tag)}/>")
            assert caught.value.place == f"filter/rule/{tag}/@{name}"


def test_attributes_stand_in_the_order_of_libvirt() -> None:
    told = "comment='c' flags='SYN/ALL' dstportend='2' srcportstart='1' state='NEW' dscp='1' srcipmask='24'"
    written = render(filter_of(f"<tcp {told} srcipaddr='10.0.0.1' srcmacaddr='1:2:3:4:5:6' match='no'/>"))
    assert (
        "<tcp match='no' srcmacaddr='01:02:03:04:05:06' srcipaddr='10.0.0.1' srcipmask='24' dscp='1' state='NEW' "
        "srcportstart='1' dstportend='2' flags='SYN/ALL' comment='c'/>" in written
    )


def test_every_field_is_tried_and_comes_back() -> None:
    text = f"""<filter name='f' chain='ipv4-x' priority='-5'>{UUID}
      <rule action='return' direction='inout' priority='-1000' statematch='FALSE'/>
      <filterref filter="it's a"/><rule action='continue' direction='out'><all match='no' comment="'&lt;$x>"/></rule>
      <filterref filter='b'><parameter name='Z' value='1'/><parameter name='A' value='::2'/>
      <parameter name='A' value='1.1.1.1'/></filterref></filter>"""
    document = parse_filter(text)
    assert untried(Filter, [document, *map(complete, PROTOCOLS)]) == set()
    assert [type(each).__name__ for each in document.entries] == ["Rule", "FilterRef", "Rule", "FilterRef"]
    rule, _, _, reference = document.entries
    assert rule.statematch is False
    assert [(each.name, each.value) for each in reference.parameters] == [("A", "::2"), ("A", "1.1.1.1"), ("Z", "1")]
    assert parse_filter(render(document)) == document
    assert filter_of(f"<all comment='{'ä' * 200}'/>").entries[0].protocols[0].comment == "ä" * 128


@pytest.mark.parametrize(
    ("told", "chain", "written"),
    [
        ("", "root", ""),
        ("chain=''", "root", ""),
        ("chain='root' priority='-5'", "root", " priority='-5'"),
        ("chain='mac'", "mac", " priority='-800'"),
        ("chain='vlan1'", "vlan1", " priority='-750'"),
        ("chain='stp-xyz'", "stp-xyz", ""),
        ("chain='arp-abcdefgh'", "arp-abcdefgh", " priority='-500'"),
        ("chain='rarp'", "rarp", " priority='-400'"),
        ("chain='ipv4_a.b:c-d'", "ipv4_a.b:c-d", " priority='-700'"),
        ("chain='ipv6'", "ipv6", " priority='-600'"),
        ("chain='ipv6' priority='0'", "ipv6", " priority='0'"),
    ],
)
def test_chains_have_priorities(told: str, chain: str, written: str) -> None:
    document = parse_filter(f"<filter name='f' {told}/>")
    assert render(document) == f"<filter name='f' chain='{chain}'{written}/>\n"
    assert parse_filter(render(document)) == document


BINDING = """<filterbinding><filterref filter='f'><parameter name='IP' value='10.0.0.1'/></filterref>
  <mac address='5:4:3:2:1:A'/><linkdev name='eth0'/><portdev name='vnet0'/>
  <owner><uuid>d54df46f1ab54a2286184560ef5fac2c</uuid><name>guest</name></owner></filterbinding>"""


def test_bindings_come_back_in_order() -> None:
    binding = parse_binding(BINDING)
    assert untried(Binding, [binding]) == set()
    assert (binding.owner.uuid, binding.mac.address) == ("d54df46f-1ab5-4a22-8618-4560ef5fac2c", "05:04:03:02:01:0a")
    lines = [line for line in render(binding).splitlines() if line.startswith("  <")]
    assert [line.split("<")[1].split()[0].rstrip(">") for line in lines] == [
        "owner", "/owner", "portdev", "linkdev", "mac", "filterref", "/filterref",
    ]  # fmt: skip
    assert parse_binding(render(binding)) == binding


REFERENCE = "<filterref filter='a'><parameter name='{}' value='{}'/></filterref>"
RULE = "<rule action='drop' direction='in'{}>{}</rule>"


@pytest.mark.parametrize(
    ("name", "inside", "place"),
    [
        ("", "", "filter/@name"),
        ("a/b", "", "filter/@name"),
        ("f' chain='tcp", "", "filter/@chain"),
        ("f' chain='root-x", "", "filter/@chain"),
        ("f' chain='ROOT", "", "filter/@chain"),
        ("f' chain='arp-abcdefghi", "", "filter/@chain"),
        ("f' chain='arp a", "", "filter/@chain"),
        ("f' chain='arp' priority='1001", "", "filter/@priority"),
        ("f", "<uuid>x</uuid>", "filter/uuid"),
        ("f", "<rule direction='in'/>", "filter/rule"),
        ("f", "<rule action='drop'/>", "filter/rule"),
        ("f", "<rule action='allow' direction='in'/>", "filter/rule/@action"),
        ("f", "<rule action='drop' direction='both'/>", "filter/rule/@direction"),
        ("f", RULE.format(" priority='-1001'", ""), "filter/rule/@priority"),
        ("f", RULE.format(" statematch='no'", ""), "filter/rule/@statematch"),
        ("f", RULE.format("", "<tcp/><udp/>"), "filter/rule"),
        ("f", RULE.format("", "<tcp match='never'/>"), "filter/rule/tcp/@match"),
        ("f", RULE.format("", "<ip srcportstart='1'/>"), "filter/rule/ip"),
        ("f", RULE.format("", "<ip dstportend='1' protocol='icmp'/>"), "filter/rule/ip"),
        ("f", RULE.format("", "<ipv6 dstportstart='1' protocol='$P'/>"), "filter/rule/ipv6"),
        ("f", "<filterref/>", "filter/filterref"),
        ("f", REFERENCE.format("A b", "1"), "filter/filterref/parameter/@name"),
        ("f", REFERENCE.format("A", "::/8"), "filter/filterref/parameter/@value"),
    ],
)
def test_nonsense_is_refused(name: str, inside: str, place: str) -> None:
    text = f"<filter name='{name}'>{inside}</filter>"
    with pytest.raises(DocumentError) as caught:
        parse_filter(text)
    assert caught.value.place == place
    assert [each.place for each in Inspection(text).findings] == [place]


@pytest.mark.parametrize(
    ("left_out", "place"),
    [
        ("<name>guest</name>", "filterbinding/owner"),
        ("<uuid>d54df46f1ab54a2286184560ef5fac2c</uuid>", "filterbinding/owner"),
        ("<portdev name='vnet0'/>", "filterbinding"),
        ("<mac address='5:4:3:2:1:A'/>", "filterbinding"),
        (" filter='f'", "filterbinding/filterref"),
        (" name='eth0'", "filterbinding/linkdev"),
    ],
)
def test_bindings_say_what_they_bind(left_out: str, place: str) -> None:
    assert left_out in BINDING
    with pytest.raises(DocumentError) as caught:
        parse_binding(BINDING.replace(left_out, ""))
    assert caught.value.place == place
