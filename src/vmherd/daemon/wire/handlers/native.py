"""Between documents and the words of hypervisors."""

from __future__ import annotations

from vmherd.daemon.wire.client import Call
from vmherd.daemon.wire.dispatch import remote
from vmherd.daemon.wire.flags import only
from vmherd.driver import native
from vmherd.errors import InvalidArgument


@remote
async def connect_domain_xml_from_native(call: Call, name: str, text: str, flags: int) -> str:
    only(flags, 0)
    from vmherd.conf.domain import render

    _ = call.driver  # none without a connection
    format_ = native.load(name)
    if format_.read is None:
        raise InvalidArgument(f"documents are not made from {name}", hint=format_.why_not)
    return render(format_.read(text).domain, secure=True)


@remote
async def connect_domain_xml_to_native(call: Call, name: str, xml: str, flags: int) -> str:
    only(flags, 0)
    from vmherd.conf.domain import parse_domain

    _ = call.driver
    format_ = native.load(name)
    if format_.write is None:
        raise InvalidArgument(f"documents are not made into {name}", hint=format_.why_not)
    return await format_.write(parse_domain(xml))
