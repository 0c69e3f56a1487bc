"""What a guest that runs may reach on the host: more with each device that comes, less with each that goes.

What it may reach from its start is in `startup`.  Everything may be done twice, by whoever comes first.
"""

from __future__ import annotations

from collections.abc import Collection

from vmherd.conf.domain import Domain
from vmherd.hypervisors.qemu import namespace, uses
from vmherd.hypervisors.qemu.command.launch import Launch
from vmherd.hypervisors.qemu.hotplug.running import Running


def give(running: Running, view: Domain, launch: Launch, device: str) -> frozenset[str]:
    """Let the guest have what the device with that alias uses, which is in ``view``; the paths.  Raises HostError."""
    used = uses.of_device(view, launch, device)
    namespace.let_in(running.folder, running.pid, used)
    return frozenset(use.path for use in used)


def take_back(running: Running, device: str, paths: Collection[str] | None = None) -> None:
    """Take back what a device used: all of it, or some."""
    had = paths_of(running, device)
    namespace.take_out(running.folder, running.pid, device, had if paths is None else paths)


def paths_of(running: Running, device: str) -> frozenset[str]:
    """What a device has been given."""
    return namespace.paths_of(running.folder, device)
