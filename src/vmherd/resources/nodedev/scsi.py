"""SCSI: hosts, also of Fibre Channel, targets, and devices.

Source: src/util/virscsihost.c, src/util/virvhba.c and udevProcessSCSI* of libvirt.
"""

from __future__ import annotations

import re

from vmherd.conf.nodedev.kinds import (
    FibreChannel,
    RemotePort,
    Scsi,
    ScsiGeneric,
    ScsiHost,
    ScsiTarget,
    VirtualPorts,
)
from vmherd.resources.nodedev.sysfs import Node

#: Words for the types of the SCSI Primary Commands standard.
_KINDS = {
    0: "disk",
    1: "tape",
    2: "printer",
    3: "processor",
    4: "worm",
    5: "cdrom",
    6: "scanner",
    7: "mod",
    8: "changer",
    13: "enclosure",
    14: "rbc",
}


def describe(node: Node) -> ScsiHost | ScsiTarget | Scsi | None:
    match node.type:
        case "scsi_host":
            return _host(node)
        case "scsi_target":
            return _target(node)
        case "scsi_device":
            return _device(node)
    return None


def generic(node: Node) -> ScsiGeneric | None:
    """The other file of a SCSI device: for commands, not for data."""
    return ScsiGeneric(char=node.file) if node.file else None


def _host(node: Node) -> ScsiHost | None:
    match = re.fullmatch(r"host(\d+)", node.name)
    if match is None:
        return None
    classes = node.sysfs.sys / "class"
    host = ScsiHost(
        host=int(match[1]), unique_id=node.sysfs.node(classes / "scsi_host" / node.name).number("unique_id")
    )
    fibre = node.sysfs.node(classes / "fc_host" / node.name)
    if fibre.path.exists():
        host.capabilities.append(
            FibreChannel(
                wwnn=_wwn(fibre, "node_name"), wwpn=_wwn(fibre, "port_name"), fabric_wwn=_wwn(fibre, "fabric_name")
            )
        )
    for owner in (fibre, node.sysfs.node(classes / "scsi_host" / node.name)):
        if (owner.path / "vport_create").exists():
            most, present = owner.number("max_npiv_vports") or 0, owner.number("npiv_vports_inuse") or 0
            host.capabilities.append(VirtualPorts(most=most, present=present))
            break
    return host


def _wwn(node: Node, attribute: str) -> str | None:
    """A name in the fabric, without the 0x that sysfs has before it."""
    told = node.text(attribute)
    return told.removeprefix("0x") if told else None


def _target(node: Node) -> ScsiTarget:
    target = ScsiTarget(target=node.name)
    port = node.path.parent.name
    if port.startswith("rport-"):
        remote = node.sysfs.node(node.sysfs.sys / "class/fc_remote_ports" / port)
        target.remote_port = RemotePort(rport=port, wwpn=_wwn(remote, "port_name"))
    return target


def _device(node: Node) -> Scsi | None:
    match = re.fullmatch(r"(\d+):(\d+):(\d+):(\d+)", node.name)
    if match is None:
        return None
    host, bus, target, lun = (int(part) for part in match.groups())
    kind = node.number("type")
    return Scsi(host=host, bus=bus, target=target, lun=lun, kind=_KINDS.get(kind) if kind is not None else None)
