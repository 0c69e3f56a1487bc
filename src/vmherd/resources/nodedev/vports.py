"""Virtual ports of Fibre Channel hosts: each has names of its own in the fabric.

Source: Documentation/scsi/scsi_fc_transport.rst of Linux; virVHBAManageVport of libvirt.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from vmherd.conf.nodedev.kinds import FibreChannel, ScsiHost
from vmherd.errors import DocumentError, HostError, OperationUnsupported
from vmherd.resources.nodedev.sysfs import Sysfs
from vmherd.resources.nodedev.tree import Found, Tree
from vmherd.util.files import on_host

_WWN = re.compile(r"[0-9a-fA-F]{16}")
#: Of names that QEMU's and KVM's makers may give (virRandomGenerateWWN).
_OURS = "5001a4a"


def names_of(host: ScsiHost) -> tuple[str, str]:
    """The names a document gives a new port, wwnn and wwpn; those it leaves out are made up."""
    fibre = next((each for each in host.capabilities if isinstance(each, FibreChannel)), None)
    if fibre is None:
        hint = "a SCSI host can be made as a virtual port: add <capability type='fc_host'>"
        raise DocumentError("no fc_host capability", place="device/capability/capability", hint=hint)
    found = (fibre.wwnn or _random(), fibre.wwpn or _random())
    for name in found:
        if not _WWN.fullmatch(name):
            raise DocumentError(f"malformed wwn: {name!r}", place="device/capability/capability", hint="16 hex digits")
    return found


def _random() -> str:
    return _OURS + secrets.token_hex(5)[:9]


def owner(tree: Tree, parent: str | None) -> Found:
    """The host that shall have the port: ``parent``, or the first with room.  Raises HostError if there is none."""
    for found in tree.devices.values():
        if "vports" in found.info.capabilities and parent in (None, found.info.name):
            return found
    if parent:
        raise OperationUnsupported(f"{parent} is not capable of vport operations")
    raise HostError("no host with vport capabilities was found", hint="it takes a Fibre Channel adapter with NPIV")


def manage(sysfs: Sysfs, host: Path, names: tuple[str, str], *, create: bool) -> None:
    """Have a host make a port, or remove one."""
    wwnn, wwpn = names
    file = "vport_create" if create else "vport_delete"
    for folder in ("fc_host", "scsi_host"):
        path = sysfs.sys / "class" / folder / host.name / file
        if path.exists():
            with on_host(f"{'make' if create else 'remove'} a virtual port of {host.name}"):
                path.write_text(f"{wwpn}:{wwnn}")
            return
    raise OperationUnsupported(f"{host.name} is not capable of vport operations")
