"""I/O threads of a document.  Source: qemuDomainChgIOThread of libvirt."""

from __future__ import annotations

from itertools import count

from vmherd.conf.domain import Domain
from vmherd.conf.domain.vcpu import CpuTune, IoThread
from vmherd.driver.params import Params
from vmherd.errors import InvalidArgument, InvalidState, OperationUnsupported


def all_of(domain: Domain) -> list[IoThread]:
    """Those that are named, and as many more as are asked for, with the lowest free numbers."""
    named = list(domain.iothreadids)
    taken = {thread.id for thread in named}
    free = (number for number in count(1) if number not in taken)
    return named + [IoThread(id=next(free)) for _ in range((domain.iothreads or 0) - len(named))]


def numbers(domain: Domain) -> list[int]:
    return sorted(thread.id for thread in all_of(domain))


def add(domain: Domain, number: int) -> None:
    threads = all_of(domain)
    if number in [thread.id for thread in threads]:
        raise InvalidArgument(f"an IOThread is already using iothread_id '{number}'")
    domain.iothreadids = [*threads, IoThread(id=number)]
    domain.iothreads = len(domain.iothreadids)


def remove(domain: Domain, number: int) -> None:
    threads = all_of(domain)
    if number not in [thread.id for thread in threads]:
        raise InvalidArgument(f"cannot find IOThread '{number}' in iothreadids list")
    _require_unused(domain, number)
    domain.iothreadids = [thread for thread in threads if thread.id != number]
    domain.iothreads = len(domain.iothreadids) or None
    if domain.cputune:
        domain.cputune.iothreadpins = [pin for pin in domain.cputune.iothreadpins if pin.iothread != number]
        domain.cputune = domain.cputune if domain.cputune != CpuTune() else None


def _require_unused(domain: Domain, number: int) -> None:
    for disk in domain.devices.disks:
        if disk.driver and disk.driver.iothread == number:
            raise InvalidArgument(
                f"cannot remove IOThread {number} since it is being used by disk '{disk.target.dev}'",
                hint="detach the disk, or let it use another thread",
            )
    for controller in domain.devices.controllers:
        if controller.driver and controller.driver.iothread == number:
            raise InvalidArgument(
                f"cannot remove IOThread {number} since it is being used by controller",
                hint="detach the controller, or let it use another thread",
            )


def configure(domain: Domain, number: int, params: Params) -> None:
    """Note what a document can say of a thread: its pool.  How it polls is for running guests only."""
    threads = all_of(domain)
    found = next((thread for thread in threads if thread.id == number), None)
    if found is None:
        raise InvalidArgument(f"cannot find IOThread '{number}' in iothreadids")
    if domain.id is None and any(name.startswith("poll_") for name in params):
        raise OperationUnsupported("configuring persistent polling values is not supported")
    least, most = pool(found, params)
    if least > most >= 0 or (most < 0 <= least and "thread_pool_min" in params):
        raise InvalidState(f"thread_pool_min ({least}) can't be greater than thread_pool_max ({most})")
    if least < 0 and most < 0:
        return
    found.thread_pool_min = least if least >= 0 else None
    found.thread_pool_max = most if most >= 0 else None
    domain.iothreadids, domain.iothreads = threads, len(threads)


def pool(thread: IoThread, params: Params) -> tuple[int, int]:
    """The least and the most threads of a pool after a change; -1 where it is not told."""
    least = params.get("thread_pool_min", thread.thread_pool_min)
    most = params.get("thread_pool_max", thread.thread_pool_max)
    return (-1 if least is None else int(least)), (-1 if most is None else int(most))
