"""Ports of Open vSwitch: the switch is told what its database shall say of a guest's tap device.

Source: virNetDevOpenvswitchAddPort, virNetDevOpenvswitchConstructVlans and virNetDevOpenvswitchInterfaceSetQos of
libvirt; ovs-vsctl(8), ovs-vswitchd.conf.db(5)
"""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.conf.domain import Domain
from vmherd.conf.domain.net import Interface, PortParameters, Rate, Vlan
from vmherd.hypervisors.qemu.host import bridging
from vmherd.util.command import run

#: Seconds that the switch gets to do it.
_PATIENCE = 5


async def add(domain: Domain, interface: Interface) -> None:
    """Make the tap device of a card a port of its bridge, with its VLANs and what controllers look for.

    Raises HostError, with the switch's own words.
    """
    await _tell(arguments(domain, interface))


def arguments(domain: Domain, interface: Interface) -> list[str]:
    """What the switch is told for a new port."""
    assert interface.target is not None  # it has its device
    assert interface.mac is not None
    device, port = interface.target.dev or "", interface.virtualport
    given = (port.parameters if port else None) or PortParameters()
    known = {
        "attached-mac": interface.mac.address,
        "iface-id": given.interfaceid,
        "vm-id": domain.uuid,
        "port-profile": given.profileid,
        "iface-status": "active",
    }
    words = ["--", "--if-exists", "del-port", device, "--", "add-port", bridging.name(interface), device]
    words += _vlans(interface.vlan)
    for key, value in known.items():
        if value:
            words += ["--", "set", "Interface", device, f'external-ids:{key}="{value}"']
    return words


def _vlans(vlan: Vlan | None) -> list[str]:
    if vlan is None or not vlan.tags:
        return []
    words = []
    native = next((tag for tag in vlan.tags if tag.native_mode), None)
    if native:
        words += [f"vlan_mode=native-{native.native_mode}", f"tag={native.id}"]
    if vlan.trunk:
        words.append("trunk=" + ",".join(str(tag.id) for tag in vlan.tags))
    elif not native:
        words.append(f"tag={vlan.tags[0].id}")
    return words


async def retag(device: str, vlan: Vlan | None) -> None:
    """Give a port that is there other VLANs.  Raises HostError."""
    words = []
    for column in ("tag", "trunk", "vlan_mode"):
        words += ["--", "--if-exists", "clear", "Port", device, column]
    if vlan and vlan.tags:
        words += ["--", "--if-exists", "set", "Port", device, *_vlans(vlan)]
    await _tell(words)


async def remove(device: str) -> None:
    """Take a port out; one that is gone already is no error.  Raises HostError."""
    await _forget_limits(device)
    await _tell(["--", "--if-exists", "del-port", device])


async def limit(device: str, *, sent: Rate | None, received: Rate | None) -> None:
    """Limit a port: the switch itself sets the kernel's queues, and would end what others set there.

    Rates as in the document; the switch counts in bits per second, kilobits for what it receives.  Raises HostError.
    """
    await _forget_limits(device)
    await _tell(limits(device, sent=sent, received=received))


async def _forget_limits(device: str) -> None:
    """Rows that no port names stay in the database until somebody removes them."""
    words = ["--", "--if-exists", "clear", "Port", device, "qos"]
    for table in ("qos", "queue"):
        found = await _tell(["--bare", "--columns=_uuid", "find", table, f"external-ids:ifname={device}"])
        for row in found.split():
            words += ["--", "--if-exists", "destroy", table, row]
    await _tell(words)


def limits(device: str, *, sent: Rate | None, received: Rate | None) -> list[str]:
    """What the switch is told of the limits of a port."""
    words = []
    if sent:
        known = {"min-rate": sent.average, "max-rate": sent.peak or sent.average, "burst": sent.burst}
        told = [f"other-config:{key}={value * 8000}" for key, value in known.items() if value]
        told.append(f"external-ids:ifname={device}")
        words += ["--", "set", "Port", device, "qos=@qos", "--", "--id=@qos", "create", "qos", "type=linux-htb", *told]
        words += ["queues:0=@queue", "--", "--id=@queue", "create", "queue", *told]
    rate = received.average or 0 if received else 0
    burst = received.burst or 0 if received else 0
    words += ["--", "set", "Interface", device, f"ingress_policing_rate={rate * 8}"]
    return [*words, f"ingress_policing_burst={burst * 8}"]


async def _tell(words: Sequence[str]) -> str:
    argv = ["ovs-vsctl", f"--timeout={_PATIENCE}", *words]
    return await run(argv, patience=_PATIENCE + 5, package="openvswitch-switch")
