"""Calls of clients who may do them with some domains only: which domain is it?

What is asked is the driver's own record, since a client can send any name together with any UUID.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vmherd.errors import DomainNotFound

if TYPE_CHECKING:
    from vmherd.daemon.wire.client import Call
    from vmherd.daemon.wire.dispatch import Handler

#: Calls that find a domain: which one it is, their answer tells.
_LOOKUPS = {"domain_lookup_by_id", "domain_lookup_by_name", "domain_lookup_by_uuid"}
#: Calls with a document that says which domain it is.
_DOCUMENTS = {
    "domain_create_xml",
    "domain_create_xml_with_files",
    "domain_define_xml",
    "domain_define_xml_flags",
}


async def answer(handler: Handler, call: Call, arguments: Sequence[Any]) -> Any:
    """Do a call if it is for a domain with which the client may do that.  Raises Denied or ReadOnly if not."""
    holder, name = call.client.holder, handler.procedure.name
    if name in _LOOKUPS:
        result = await handler.answer(call, arguments)
        holder.require_for(handler.rule, arguments, result.name, result.uuid)
        return result
    holder.require_for(handler.rule, arguments, *await _subject(call, name, arguments))
    if name == "domain_rename":
        # Its new name may be one that others have a say about.
        holder.require_for(handler.rule, arguments, arguments[1] or "", "")
    return await handler.answer(call, arguments)


async def _subject(call: Call, name: str, arguments: Sequence[Any]) -> tuple[str, str]:
    """The name and UUID of the domain a call is about; "" where there is none, which no grant covers."""
    if name in _DOCUMENTS:
        from vmherd.conf.domain import parse_domain

        domain = parse_domain(arguments[0])
        return domain.name, domain.uuid or ""
    if name == "domain_find":
        info = await call.driver.domain_find(arguments[0])
        return info.name, info.uuid
    for value in arguments:
        found = value if hasattr(value, "uuid") and hasattr(value, "id") else getattr(value, "dom", None)
        if found is not None:
            info = await call.driver.domain_find(found.uuid)
            if info.uuid != found.uuid:  # a domain whose name looks like a UUID
                raise DomainNotFound(found.uuid)
            return info.name, info.uuid
    return "", ""
