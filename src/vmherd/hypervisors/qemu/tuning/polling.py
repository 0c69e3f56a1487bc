"""How an I/O thread polls for work, and the size of its pool of threads, while the guest runs.

Source: the properties of the object "iothread" in QEMU's iothread.c; qemuMonitorJSONSetIOThread of libvirt.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain
from vmherd.driver.params import Params
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.monitor import Monitor

_POLLING = {"poll_max_ns": "poll-max-ns", "poll_grow": "poll-grow", "poll_shrink": "poll-shrink"}
_MOST = (1 << 31) - 1


async def configure(monitor: Monitor, domain: Domain, number: int, params: Params) -> None:
    """Set what is told.  Raises Unsupported, Refused with QEMU's reason."""
    path = f"/objects/iothread{number}"
    for name, word in _POLLING.items():
        if name not in params:
            continue
        value = int(params[name])
        if value > _MOST:
            raise Unsupported(f"{word} ({value}) must be less than or equal to {_MOST}")
        await monitor.execute("qom-set", {"path": path, "property": word, "value": value})
    current = await monitor.execute("qom-get", {"path": path, "property": "thread-pool-max"}) if params else 0
    for word, value in _pool(domain, number, params, current):
        await monitor.execute("qom-set", {"path": path, "property": word, "value": value})


def _pool(domain: Domain, number: int, params: Params, most: int) -> Iterator[tuple[str, int]]:
    """The bounds that were told, in the order in which the least is never above the most."""
    told = next((thread for thread in domain.iothreadids if thread.id == number), None)
    bounds = {
        "thread-pool-min": told.thread_pool_min if told and "thread_pool_min" in params else None,
        "thread-pool-max": told.thread_pool_max if told and "thread_pool_max" in params else None,
    }
    least = bounds["thread-pool-min"]
    raised = least is not None and least > most
    for word in ("thread-pool-max", "thread-pool-min") if raised else ("thread-pool-min", "thread-pool-max"):
        value = bounds[word]
        if value is not None:
            yield word, value
