"""What a definition must be like, so that it can be started; and who else configures interfaces of this host."""

from __future__ import annotations

import re
from pathlib import Path

from vmherd.conf.interface import Family, Interface, InterfaceType, parse_interface
from vmherd.errors import DocumentError, Unsupported
from vmherd.resources.interface.links import version_of
from vmherd.resources.interface.make import Part, parts

#: What the kernel takes as a name (dev_valid_name); IFNAMSIZ is 16, with the zero byte.
_NAME = re.compile(r"(?!\.{1,2}$)[^/:\s\0]{1,15}")
_TAGS = range(1, 4095)


def read(text: str) -> Interface:
    """A definition.  Raises DocumentError, also for one that could not be started."""
    document = parse_interface(text)
    for part in parts(document):
        _check_part(part)
    for protocol in document.protocols:
        version = 4 if protocol.family is Family.IPV4 else 6
        told = [ip.address for ip in protocol.ips] + ([protocol.route.gateway] if protocol.route else [])
        for address in told:
            _check_address(address, version)
        most = 32 if version == 4 else 128
        for ip in protocol.ips:
            if ip.prefix is not None and ip.prefix > most:
                raise DocumentError(f"a prefix of {ip.prefix} bits", place="interface/protocol/ip/@prefix")
    return document


def _check_part(part: Part) -> None:
    if not part.name or not _NAME.fullmatch(part.name):
        raise DocumentError(
            f"{part.name!r} is no name of a network device", place="interface/@name", hint="1 to 15 letters"
        )
    if part.type is InterfaceType.BOND and part.bond is None:
        raise DocumentError("bond interface misses the bond element", place="interface/bond", hint="add <bond>")
    if part.bond and part.bond.arpmon:
        raise Unsupported("bonds are watched by miimon only", place="interface/bond/arpmon", hint="use <miimon>")
    if part.type is InterfaceType.VLAN and part.vlan is None:
        raise DocumentError("vlan interface misses the vlan element", place="interface/vlan", hint="add <vlan>")
    if part.vlan and part.vlan.tag not in _TAGS:
        raise DocumentError(f"{part.vlan.tag} is no VLAN", place="interface/vlan/@tag", hint="1 to 4094")
    if isinstance(part, Interface) and part.bridge and part.bridge.delay is not None:
        try:
            float(part.bridge.delay)
        except ValueError:
            raise DocumentError(
                f"{part.bridge.delay!r} is no time", place="interface/bridge/@delay", hint="seconds"
            ) from None


def _check_address(address: str, version: int) -> None:
    try:
        found = version_of(address)
    except ValueError:
        found = 0
    if found != version:
        raise DocumentError(f"{address!r} is no address of IPv{version}", place="interface/protocol")


#: Files of others, and what in them names an interface.
_OTHERS = (
    ("/etc/network", "interfaces", r"(?m)^\s*(?:iface|auto|allow-\w+)\s+(?:\S+\s+)*?{}(?:\s|$)"),
    ("/etc/network/interfaces.d", "*", r"(?m)^\s*(?:iface|auto|allow-\w+)\s+(?:\S+\s+)*?{}(?:\s|$)"),
    ("/etc/systemd/network", "*.network", r"(?m)^\s*Name\s*=(?:.*\s)?{}(?:\s|$)"),
    ("/etc/NetworkManager/system-connections", "*", r"(?m)^\s*interface-name\s*={}\s*$"),
)


def configured_by(name: str) -> Path | None:
    """The file of another program that configures an interface when the host starts."""
    for folder, pattern, words in _OTHERS:
        wanted = re.compile(words.format(re.escape(name)))
        for path in sorted(Path(folder).glob(pattern)):
            try:
                if wanted.search(path.read_text(errors="replace")):
                    return path
            except OSError:
                continue
    return None
