"""Memory that guests share with each other: a file below /dev/shm, or what an ivshmem server hands out."""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.shmem import Shmem, ShmemModel, ShmemRole
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device, escape, option


def arguments(domain: Domain) -> list[str]:
    """Source: qemuBuildShmemCommandLine of libvirt; docs/system/devices/ivshmem.rst of QEMU."""
    args: list[str] = []
    for each in domain.devices.shmems:
        doorbell = each.model and each.model.type is ShmemModel.IVSHMEM_DOORBELL
        args += _served(domain, each) if doorbell else _mapped(domain, each)
    return args


def _mapped(domain: Domain, each: Shmem) -> list[str]:
    memory: Properties = {
        "qom-type": "memory-backend-file",
        "id": f"shmmem-{alias(each)}",
        "mem-path": f"/dev/shm/{each.name}",  # noqa: S108  # the name is what guests share
        "size": each.size,
        "share": True,
    }
    end: Properties = {"driver": "ivshmem-plain", "id": alias(each), "memdev": memory["id"], "master": _master(each)}
    return option("-object", memory) + device({**end, **bus(each, domain)})


def _served(domain: Domain, each: Shmem) -> list[str]:
    line = f"char{alias(each)}"
    path = each.server.path if each.server else None
    words = f"socket,id={line},path={escape(path or default_server(each))}"
    end: Properties = {"driver": "ivshmem-doorbell", "id": alias(each), "chardev": line, "master": _master(each)}
    if each.msi:
        end |= {"vectors": each.msi.vectors, "ioeventfd": each.msi.ioeventfd}
    return ["-chardev", words, *device({**end, **bus(each, domain)})]


def _master(each: Shmem) -> str | None:
    """Of those that share, a master keeps its content when it migrates; a peer cannot migrate."""
    return None if each.role is None else "on" if each.role is ShmemRole.MASTER else "off"


def default_server(each: Shmem) -> str:
    """The socket of the server for a name."""
    return f"/var/lib/libvirt/shmem-{each.name}-sock"
