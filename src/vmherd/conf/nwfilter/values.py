"""What attributes of filter rules may hold: a value in its canonical text, or a variable in its place.

Values stay text because a variable may stand for each, and because a number is written again as it was read,
decimal or hexadecimal, or as the name it has.

Source: virNWFilterRuleDetailsParse and the tables of src/conf/nwfilter_conf.c, virNWFilterVarAccessParse of
src/conf/nwfilter_params.c
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, get_args

from vmherd.errors import InvalidArgument
from vmherd.util import addresses
from vmherd.util.xmlmodel import BadValue, Codec, Mac

Read = Callable[[str], str]

MAX_ITERATOR = 1000
MAX_INDEX = 2**32 - 1
_SHOWN = 60  # characters of a bad value that an error message repeats

_VARIABLE = re.compile(r"\$(?P<name>[a-zA-Z0-9_]+)(\[\s*(?P<at>@?)\s*\+?(?P<number>[0-9]{1,10})\s*\]\s*)?", re.ASCII)
_NUMBER = re.compile(r"[ \t]*\+?(?:(?P<decimal>[0-9]{1,20})|0[xX](?P<hexadecimal>[0-9a-fA-F]{1,20}))", re.ASCII)


def variable(text: str) -> str:
    """``$NAME``, ``$NAME[2]`` for one of its values, or ``$NAME[@2]`` for each in turn, by iterator 2.

    Variables with the same iterator advance together; ``@0`` is the one of those that name none.
    """
    found = _VARIABLE.fullmatch(text)
    if not found:
        raise BadValue(f"{text[:_SHOWN]!r} is no variable", "write it like $IP, $IP[2] or $IP[@1]")
    if found["number"] is None:
        return text
    number = int(found["number"])
    highest = MAX_ITERATOR if found["at"] else MAX_INDEX
    if number > highest:
        raise BadValue(f"the number in {text[:_SHOWN]!r} is more than {highest}")
    access = f"[{found['at']}{number}]"
    return f"${found['name']}" + ("" if access == "[@0]" else access)


def _value(read: Read) -> Codec:
    """A value that a variable may stand for."""
    return Codec(lambda text: variable(text) if text.startswith("$") else read(text))


def _number(
    high: int, low: int = 0, *, names: Mapping[str, int] | None = None, read_hex: bool = True, write_hex: bool = True
) -> Read:
    """A number from ``low`` to ``high``; one that has a name is written by it, and names are read in any case."""
    known = {name.lower(): name for name in names or {}}
    name_of = {number: name for name, number in (names or {}).items()}

    def read(text: str) -> str:
        if text.lower() in known:
            return known[text.lower()]
        found = _NUMBER.fullmatch(text)
        if not found or (found["hexadecimal"] and not read_hex):
            raise BadValue(f"{text[:_SHOWN]!r} is not a number", f"known are {', '.join(names)}" if names else "")
        number = int(found["decimal"] or found["hexadecimal"], 10 if found["decimal"] else 16)
        if not low <= number <= high:
            raise BadValue(f"{text[:_SHOWN]!r} is not between {low} and {high}")
        return name_of.get(number) or (f"{number:#x}" if found["hexadecimal"] and write_hex else str(number))

    return read


def _mac_mask(text: str) -> str:
    """Source: checkMACMask"""
    mask: str = get_args(Mac)[1].parse(text)
    if not re.fullmatch("1*0*", f"{int(mask.replace(':', ''), 16):048b}"):
        raise BadValue(f"{text!r} is no mask", "once a bit is 0, all that follow must be")
    return mask


def _address(family: str) -> Read:
    def read(text: str) -> str:
        try:
            return addresses.shown(addresses.parse(text, family))
        except InvalidArgument as problem:
            raise BadValue(str(problem)) from None

    return read


def _mask(family: str, bits: int) -> Read:
    """How many bits count, told as a number or as an address whose bits those are."""
    address, number = _address(family), _number(bits, read_hex=False)

    def read(text: str) -> str:
        if re.fullmatch(r"[ \t]*\+?[0-9]+", text, re.ASCII):
            return number(text)
        mask = addresses.parse(address(text), family)
        if not re.fullmatch("1*0*", f"{int(mask):0{bits}b}"):
            raise BadValue(f"{text!r} is no mask", f"write a number from 0 to {bits}, or ones followed by zeros")
        return str(f"{int(mask):b}".count("1"))

    return read


def _boolean(text: str) -> str:
    if text in ("1", "yes", "true"):
        return "true"
    if text in ("0", "no", "false"):
        return "false"
    raise BadValue(f"{text[:_SHOWN]!r} is neither 'true' nor 'false'")


def _words(text: str, known: tuple[str, ...]) -> list[str]:
    """Words between commas in the order of ``known``, each once; blanks and empty words do not count."""
    told = {word.strip().upper() for word in text.split(",")} - {""}
    if strange := told.difference(known):
        raise BadValue(f"{min(strange)[:_SHOWN]!r} is not one of: {', '.join(known)}")
    return [word for word in known if word in told]


_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")


def _some_flags(text: str) -> str:
    told = [word for word in _words(text, (*_FLAGS, "ALL", "NONE")) if word != "NONE"]
    if "ALL" in told or len(told) == len(_FLAGS):
        return "ALL"
    return ",".join(told) or "NONE"


def _tcp_flags(text: str) -> str:
    """Which flags are looked at, and which of them must be set."""
    mask, slash, flags = text.partition("/")
    if not slash or "/" in flags:
        raise BadValue(f"{text[:_SHOWN]!r} is not two sets of flags", "write it like SYN,ACK/SYN")
    return f"{_some_flags(mask)}/{_some_flags(flags)}"


def _states(text: str) -> str:
    """States of a connection; NONE asks for rules that track none."""
    told = _words(text, ("NEW", "ESTABLISHED", "RELATED", "INVALID", "NONE"))
    if not told:
        raise BadValue("no state is named", "write it like NEW,ESTABLISHED")
    return "NONE" if "NONE" in told else ",".join(told)


def _set_name(text: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9_.:\-+ ]{1,31}", text):
        raise BadValue(f"{text[:_SHOWN]!r} is no name of a set", "up to 31 letters, digits and any of _.:-+")
    return text


def _set_flags(text: str) -> str:
    """Which address of a packet is compared with each part of the set's entries."""
    if not re.fullmatch(r"(src|dst)(,(src|dst)){0,5}", text, re.IGNORECASE):
        raise BadValue(f"{text[:_SHOWN]!r} is not one to six of src and dst", "write it like src,dst")
    return text.lower()


def _comment(text: str) -> str:
    """Cut to 256 bytes, as libvirt does."""
    return text.encode()[:256].decode(errors="ignore")


_ETHERTYPES = {"ipv4": 0x0800, "arp": 0x0806, "rarp": 0x8035, "vlan": 0x8100, "ipv6": 0x86DD}
_PROTOCOLS = {
    "icmp": 1,
    "igmp": 2,
    "tcp": 6,
    "udp": 17,
    "esp": 50,
    "ah": 51,
    "icmpv6": 58,
    "sctp": 132,
    "udplite": 136,
}
_OPCODES = {
    "Request": 1,
    "Reply": 2,
    "Request_Reverse": 3,
    "Reply_Reverse": 4,
    "DRARP_Request": 5,
    "DRARP_Reply": 6,
    "DRARP_Error": 7,
    "InARP_Request": 8,
    "ARP_NAK": 9,
}

#: The numbers that all these names stand for; each is of one table only, or the same in two.
NAMED = _ETHERTYPES | _PROTOCOLS | _OPCODES

UInt8 = Annotated[str, _value(_number(2**8 - 1))]
UInt16 = Annotated[str, _value(_number(2**16 - 1))]
UInt32 = Annotated[str, _value(_number(2**32 - 1))]
Count = Annotated[str, _value(_number(2**16 - 1, read_hex=False))]
Dscp = Annotated[str, _value(_number(63))]
VlanId = Annotated[str, _value(_number(4095))]
Ethertype = Annotated[str, _value(_number(2**16 - 1, 0x600, names=_ETHERTYPES))]
#: In an 802.1Q frame a length may stand instead; 60 is the shortest.
InnerEthertype = Annotated[str, _value(_number(2**16 - 1, 60, names=_ETHERTYPES))]
IpProtocol = Annotated[str, _value(_number(2**8 - 1, names=_PROTOCOLS))]
ArpOpcode = Annotated[str, _value(_number(2**16 - 1, names=_OPCODES, write_hex=False))]
MacAddress = Annotated[str, _value(get_args(Mac)[1].parse)]
MacMask = Annotated[str, _value(_mac_mask)]
IPv4 = Annotated[str, _value(_address("inet"))]
IPv4Mask = Annotated[str, _value(_mask("inet", 32))]
IPv6 = Annotated[str, _value(_address("inet6"))]
IPv6Mask = Annotated[str, _value(_mask("inet6", 128))]
Boolean = Annotated[str, _value(_boolean)]
TcpFlags = Annotated[str, _value(_tcp_flags)]
States = Annotated[str, _value(_states)]
SetName = Annotated[str, _value(_set_name)]
SetFlags = Annotated[str, _value(_set_flags)]
Comment = Annotated[str, Codec(_comment, safe=False)]
