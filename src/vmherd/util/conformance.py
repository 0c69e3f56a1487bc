"""Sets of numbers and network addresses, as conformance cases ask for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from vmherd.conformance import Case
from vmherd.errors import InvalidArgument
from vmherd.util import addresses, bits, uri
from vmherd.util.xmlmodel import format_cpus, parse_numbers

_LARGEST = 1 << 16
Question = dict[str, Any]


def bitmap(case: Case) -> Question:
    """One operation on sets of numbers."""
    told = msgspec.json.decode(case.input)
    try:
        return _BITMAP[told["op"]](told)
    except ValueError as problem:
        raise InvalidArgument(str(problem)) from None


def sockaddr(case: Case) -> Question:
    """One operation on addresses."""
    told = msgspec.json.decode(case.input)
    return _SOCKADDR[told["op"]](told)


def parsed_uri(case: Case) -> Question:
    """The parts of a URI, and its text made anew."""
    told = msgspec.json.decode(case.input)
    found = uri.parse(told["uri"])
    parts: Question = msgspec.to_builtins(found)
    return parts | {"formatted": uri.text_of(found)}


def _numbers(text: str) -> set[int]:
    return parse_numbers(text, _LARGEST)


def _parsed(told: Question) -> Question:
    found = sorted(parse_numbers(told["text"], told.get("size", _LARGEST)))
    return {"bits": found, "count": len(found), "formatted": format_cpus(found)}


def _to_bytes(told: Question) -> Question:
    data = bits.to_bytes(told["bits"], told.get("size", 0))
    return {"bytes": list(data), "formatted": format_cpus(told["bits"])}


def _from_bytes(told: Question) -> Question:
    found = sorted(bits.from_bytes(bytes(told["bytes"])))
    return {"bits": found, "formatted": format_cpus(found)}


def _hex(told: Question) -> Question:
    text = bits.to_hex(bits.from_hex(told["hex"]))
    return {"hex": text.zfill(len(told["hex"])) if told["hex"] else ""}


_BITMAP: dict[str, Callable[[Question], Question]] = {
    "parse": _parsed,
    "format": lambda told: {"formatted": format_cpus(told["bits"])},
    "to-bytes": _to_bytes,
    "to-hex": lambda told: {"hex": bits.to_hex(told["bits"])},
    "from-bytes": _from_bytes,
    "hex-roundtrip": _hex,
    "overlaps": lambda told: {"result": bool(_numbers(told["a"]) & _numbers(told["b"]))},
    "intersect": lambda told: {"bits": sorted(_numbers(told["a"]) & _numbers(told["b"]))},
    "subtract": lambda told: {"bits": sorted(_numbers(told["a"]) - _numbers(told["b"]))},
    "union": lambda told: {"bits": sorted(_numbers(told["a"]) | _numbers(told["b"]))},
}


def _range(told: Question) -> Question:
    within = addresses.network(addresses.parse(told["network"]), told["prefix"]) if told.get("network") else None
    return {"size": addresses.range_size(addresses.parse(told["start"]), addresses.parse(told["end"]), within)}


def _same_network(told: Question) -> Question:
    one, other, mask = (addresses.parse(told[name]) for name in ("address1", "address2", "netmask"))
    return {"result": addresses.same_network(one, other, mask)}


def _mask_network(told: Question) -> Question:
    found = addresses.network(addresses.parse(told["address"]), told["prefix"])
    return {"network": addresses.shown(found.network_address)}


def _family(told: Question) -> Question:
    if not addresses.is_numeric(told["address"]):
        return {"family": None}
    return {"family": "inet" if addresses.parse(told["address"]).version == 4 else "inet6"}


def _tells(told: Question, what: str) -> Question:
    text = told["address"]
    return {"result": addresses.is_numeric(text) and bool(getattr(addresses.parse(text), what))}


_SOCKADDR: dict[str, Callable[[Question], Question]] = {
    "parse-format": lambda told: {"formatted": addresses.shown(addresses.parse(told["address"], told["family"]))},
    "range": _range,
    "same-network": _same_network,
    "mask-network": _mask_network,
    "numeric-family": _family,
    "is-wildcard": lambda told: _tells(told, "is_unspecified"),
    "is-localhost": lambda told: _tells(told, "is_loopback"),
}
