"""What the start of a device decides that its document does not say: the ``Launch`` of one that comes later."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from itertools import count

from vmherd.conf.domain import Domain
from vmherd.hypervisors.qemu.command import backing
from vmherd.hypervisors.qemu.command.launch import Launch
from vmherd.hypervisors.qemu.command.secrets import Vault
from vmherd.hypervisors.qemu.host import hostmemory, images
from vmherd.hypervisors.qemu.hotplug.numbers import first_fdset, first_node
from vmherd.hypervisors.qemu.hotplug.running import Means, Running
from vmherd.hypervisors.qemu.monitor import Monitor
from vmherd.hypervisors.qemu.startup import keyring, shelf
from vmherd.hypervisors.qemu.startup.prepared import Prepared
from vmherd.hypervisors.qemu.startup.resources import Resources
from vmherd.security import identity


def resources(running: Running, ours: ExitStack) -> tuple[Resources, int]:
    """What is opened for QEMU, closed here with ``ours``; and the descriptor of the guest's log."""
    log = ours.enter_context(running.folders.guest_log(running.name).open("ab")).fileno()
    return Resources(ours, folder=running.folder, port_locks=running.folders.ports, log=log), log


async def launch(running: Running, view: Domain, means: Means, opened: Resources, log: int, monitor: Monitor) -> Launch:
    """Take from the host what the devices of ``view`` need.  Raises HostError."""
    folders, folder = running.folders, running.folder
    host = Prepared(view, folder, folders.ports, opened, means.uri)
    await host.prepare(log, starting=False)
    memory = hostmemory.find(files=folders.ram(running.uuid), name=running.uuid)
    for needed in backing.folders(view, memory):
        needed.mkdir(parents=True, exist_ok=True, mode=0o700)
    find = await keyring.fetch(view, means.config, means.uri)
    fdset = await first_fdset(monitor)
    return Launch(
        folder=folder,
        monitor_fd=-1,  # it has one
        opener=opened,
        memory=memory,
        host=host,
        now=datetime.now().astimezone(),
        reach=opened.reach,
        vault=Vault(key=(folder / "master-key.aes").read_bytes(), find=find),
        volume=await shelf.fetch(view, means.uri),
        is_cdrom=images.is_cdrom,
        user_id=identity.user_id,
        group_id=identity.group_id,
        config=means.config,
        fdsets=count(fdset),
        first_node=await first_node(monitor),
        first_fdset=fdset,
    )
