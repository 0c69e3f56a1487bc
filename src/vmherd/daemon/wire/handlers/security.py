"""What confines guests, and what nobody can answer for."""

from __future__ import annotations

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import DomainRef, only
from vmherd.driver.host import SecurityLabel
from vmherd.errors import OperationUnsupported

#: virDomainMessageType
_DEPRECATION, _TAINTING = 1, 2


@remote
async def domain_get_security_label(call: Call, dom: DomainRef) -> tuple[list[int], int]:
    labels = await call.driver.domain_security_labels(dom.uuid)
    return _told(labels[0]) if labels else ([], 0)


@remote
async def domain_get_security_label_list(call: Call, dom: DomainRef) -> tuple[list[tuple[list[int], int]], int]:
    labels = await call.driver.domain_security_labels(dom.uuid)
    return [_told(label) for label in labels], len(labels)


def _told(found: SecurityLabel) -> tuple[list[int], int]:
    """The protocol has a label as an array of numbers, with the NUL at its end."""
    return list(found.label.encode("ascii", "replace") + b"\0"), int(found.enforcing)


@remote
async def domain_get_messages(call: Call, dom: DomainRef, flags: int) -> list[str]:
    only(flags, _DEPRECATION | _TAINTING)
    if flags and not flags & _TAINTING:
        return []
    return await call.driver.domain_taints(dom.uuid)


@remote
async def node_get_sev_info(call: Call, most: int, flags: int) -> None:
    only(flags, 4)
    _ = call.driver
    raise OperationUnsupported("QEMU does not support SEV guest")
