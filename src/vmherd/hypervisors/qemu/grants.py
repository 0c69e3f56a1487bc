"""What a guest that runs may reach on the host: more with each device that comes, less with each that goes.

What it may reach from its start is in `startup`.  Everything may be done twice, by whoever comes first.
"""

from __future__ import annotations

import resource
from collections.abc import Collection

from vmherd.conf.domain import Domain
from vmherd.hypervisors.qemu import confinement, namespace, owners, uses
from vmherd.hypervisors.qemu.command.launch import Launch
from vmherd.hypervisors.qemu.hotplug.running import Means, Running
from vmherd.hypervisors.qemu.mandatory import Mandatory
from vmherd.hypervisors.qemu.startup import confined
from vmherd.hypervisors.qemu.tuning import devices
from vmherd.security.identity import of_process
from vmherd.util.files import on_host


async def give(running: Running, means: Means, view: Domain, launch: Launch, device: str) -> frozenset[str]:
    """Let the guest have what the device with that alias uses, which is in ``view``; the paths.  Raises HostError."""
    used = uses.of_device(view, launch, device)
    with on_host("see who the guest runs as"):
        who = of_process(running.pid)
    decided = confinement.of_running(running.domain, means.config, running.folders, who)
    confinement.require_way(running.domain, used, who)
    enforced = Mandatory(running.domain, running.folder)
    private = namespace.is_private(running.folder)
    owners.take(running.folders, running.uuid, used, decided, enforced, private=private)
    await enforced.load(used)
    with on_host("let the guest open its device"):
        devices.give(running.folder, used)
    if decided.drops and (size := confined.locked_memory(view)):
        with on_host("let the guest's memory be locked, which its device needs"):
            confined.raise_limit(running.pid, resource.RLIMIT_MEMLOCK, size)
    namespace.let_in(running.folder, running.pid, used, decided.node_owner)
    return frozenset(use.path for use in used)


def open_helpers(running: Running, device: str) -> None:
    """Let the guest connect to the helpers of a device, which have been started.  Raises HostError."""
    with on_host("let the guest connect to its helpers"):
        confinement.hand_over(running.folder.glob(f"{device}-*.sock"), of_process(running.pid))


def take_back(running: Running, device: str, paths: Collection[str] | None = None) -> None:
    """Take back what a device used: all of it, or some."""
    gone = namespace.paths_of(running.folder, device) if paths is None else paths
    namespace.take_out(running.folder, running.pid, device, gone)
    with on_host("give back what the guest used"):
        devices.take_back(running.folder, device, paths)
        owners.give_back(running.folders, running.uuid, device, paths)


def paths_of(running: Running, device: str) -> frozenset[str]:
    """What a device has been given."""
    ours = owners.paths_of(running.folders, running.uuid, device)
    return namespace.paths_of(running.folder, device) | devices.paths_of(running.folder, device) | ours
