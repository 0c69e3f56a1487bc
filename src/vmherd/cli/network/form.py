"""Options that describe a network."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from vmherd.conf.network.forward import ForwardMode
from vmherd.guest.network import NetworkSpec

#: An option with a value that may be left out gives this one then.
_ANY = "any"

_OPTIONS = (
    click.option("--nat", metavar="[RANGE]", is_flag=False, flag_value=_ANY, help="Guests reach out as the host does."),
    click.option("--route", metavar="[RANGE]", is_flag=False, flag_value=_ANY, help="Guests reach out as themselves."),
    click.option("--open", metavar="[RANGE]", is_flag=False, flag_value=_ANY, help="The same, with no firewall rules."),
    click.option("--isolated", metavar="[RANGE]", is_flag=False, flag_value=_ANY, help="Guests do not reach out."),
    click.option("-b", "--bridge", metavar="BRIDGE", help="Guests are on a bridge that the host has already."),
    click.option(
        "--direct", metavar="CARD", help="Guests share a card of the host, but do not reach the host (macvtap)."
    ),
    click.option(
        "-a",
        "--address",
        "addresses",
        metavar="RANGE",
        multiple=True,
        help="Addresses, IPv6 ones too.  May be repeated.",
    ),
    click.option("-i", "--interface", metavar="CARD", default="", help="The card of the host to go out by."),
    click.option("-m", "--mtu", type=click.IntRange(68, 65535), help="Bytes of the largest packet."),
    click.option("-n", "--vlan", type=click.IntRange(1, 4094), metavar="ID", help="The VLAN the guests are in."),
    click.option("-p", "--private", is_flag=True, help="Guests do not reach each other."),
    click.option("--dhcp/--no-dhcp", default=True, help="Give guests addresses.  [default: yes]"),
    click.option("--domain", metavar="NAME", default="", help="The DNS domain of the guests."),
)
_MODES = {
    "nat": ForwardMode.NAT,
    "route": ForwardMode.ROUTE,
    "open": ForwardMode.OPEN,
    "isolated": ForwardMode.NONE,
    "bridge": ForwardMode.BRIDGE,
    "direct": ForwardMode.BRIDGE,
}


def network_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that make a NetworkSpec, which the function gets as ``spec``; its name stays empty."""

    @functools.wraps(function)
    def run(*args: Any, **told: Any) -> Any:
        chosen = {word: value for word in _MODES if (value := told.pop(word)) is not None}
        if len(chosen) > 1:
            raise click.UsageError(f"--{' and --'.join(chosen)} exclude each other")
        word, value = next(iter(chosen.items()), ("nat", _ANY))
        names = ("interface", "mtu", "vlan", "private", "dhcp", "domain")
        fields = {name: told.pop(name) for name in names} | _place(word, value, told.pop("addresses"))
        return function(
            *args,
            spec=NetworkSpec(name="", mode=_MODES[word], **{k: v for k, v in fields.items() if v is not None}),
            **told,
        )

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


def _place(word: str, value: str, addresses: tuple[str, ...]) -> dict[str, Any]:
    """Where the network is."""
    if word == "bridge":
        return {"bridge": value, "addresses": addresses}
    if word == "direct":
        return {"interface": value, "addresses": addresses}
    return {"addresses": addresses if value == _ANY else (value, *addresses)}
