"""Numbers that no image and no set of descriptors of a running QEMU has yet."""

from __future__ import annotations

import re

from vmherd.hypervisors.qemu.monitor import Monitor

_NODE = re.compile(r"libvirt-(\d+)-")


async def first_node(monitor: Monitor) -> int:
    """The lowest number from which on no block node is named."""
    nodes = await monitor.execute("query-named-block-nodes", {"flat": True})
    found = (_NODE.match(each["node-name"]) for each in nodes)
    return 1 + max((int(match[1]) for match in found if match), default=0)


async def first_fdset(monitor: Monitor) -> int:
    """The lowest number from which on there is no set of descriptors."""
    return 1 + max((each["fdset-id"] for each in await monitor.execute("query-fdsets")), default=-1)
