"""A socket between host and guest.

Source: vhost-vsock of Linux, which knows guests by a context id; 0 to 2 are taken (vsock(7))
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.vsock import ContextId
from vmherd.hypervisors.qemu.command.device import alias, bus, device, virtio, virtio_name
from vmherd.hypervisors.qemu.command.launch import Launch


def arguments(domain: Domain, launch: Launch) -> list[str]:
    """The device; a context id that the host chooses is noted in the document."""
    each = domain.devices.vsock
    if each is None:
        return []
    cid = each.cid = each.cid or ContextId()
    fd, cid.address = launch.opener.vsock(None if cid.auto else cid.address)
    end = {"driver": virtio_name("vhost-vsock", each.model, each), **virtio(each.driver), "id": alias(each)}
    return device({**end, "guest-cid": cid.address, "vhostfd": str(fd), **bus(each, domain)})
