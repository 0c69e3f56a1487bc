"""Bringing a guest up: everything between its document and running vCPUs.

``Start.run`` is the table of contents.  Each step leaves what must be undone in ``undo``; a failure or a cancel
anywhere undoes all of it, in reverse.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from vmherd.conf.domain import Domain, parse_domain, render
from vmherd.driver.types import ShutoffReason
from vmherd.errors import HypervisorError
from vmherd.hypervisors.qemu import command, keeper, memory
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import backing, blockdev, security
from vmherd.hypervisors.qemu.command.secrets import KEY_SIZE, Vault
from vmherd.hypervisors.qemu.config import Config
from vmherd.hypervisors.qemu.folders import Folders
from vmherd.hypervisors.qemu.helpers import dbusdaemon, storagehelpers, swtpm
from vmherd.hypervisors.qemu.host import firmware, hostmemory, images
from vmherd.hypervisors.qemu.host.hostmemory import HostMemory
from vmherd.hypervisors.qemu.life import Life
from vmherd.hypervisors.qemu.monitor import Monitor, connected
from vmherd.hypervisors.qemu.saved import transfer
from vmherd.hypervisors.qemu.startup import channels, displays, files, keyring, readback, shelf, transient
from vmherd.hypervisors.qemu.startup.adjust import adjust
from vmherd.hypervisors.qemu.startup.confined import Confined
from vmherd.hypervisors.qemu.startup.prepared import Prepared
from vmherd.hypervisors.qemu.startup.resources import Resources
from vmherd.hypervisors.qemu.tuning import arrivals, enforce, groups, hotcpus
from vmherd.security import identity
from vmherd.state.domains import DomainTable, Entry, Live
from vmherd.util.cgroup.group import Group
from vmherd.util.files import on_host, write_atomically
from vmherd.util.process import ProcessId, end, identify, spawn, wait_exit

log = logging.getLogger("vmherd.qemu")

#: Seconds QEMU may need from exec to its greeting; disks on a slow network are opened before it.
GREETING = 60.0
_LOG_TAIL = 4096


class Start:
    """One start of one guest; ``live`` is its record, noted by the caller before.

    ``incoming`` is a descriptor of the caller that the guest's state is read from, -1 for one that boots.
    ``reset_nvram`` begins with fresh UEFI variables.
    """

    def __init__(
        self,
        *,
        table: DomainTable,
        life: Life,
        folders: Folders,
        uri: str,
        caps: Capabilities,
        config: Config,
        domain: Domain,
        live: Live,
        incoming: int = -1,
        reset_nvram: bool = False,
    ) -> None:
        assert domain.uuid is not None  # the driver gives one to each document it reads
        self._uuid = domain.uuid
        self._table = table
        self._life = life
        self._folders = folders
        self._uri = uri
        self._caps = caps
        self._config = config
        self._domain = domain
        self._live = live
        self._incoming = incoming
        self._reset_nvram = reset_nvram
        self._process: ProcessId | None = None
        self._group: Group | None = None

    async def run(self, *, paused: bool) -> None:
        """Start the guest; return once its vCPUs run, or with ``paused`` could.

        Raises HostError, HypervisorError with QEMU's own message; then nothing is left.
        """
        with on_host(f"start {self._domain.name!r}"):
            await self._run(paused=paused)

    async def _run(self, *, paused: bool) -> None:
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._fail)
            if fresh := firmware.prepare(self._domain, self._folders.nvram, reset=self._reset_nvram):
                undo.callback(fresh.unlink)
            self._table.store.record_events(images.leave_out_missing(self._domain))
            files.require(self._domain)
            memory.align(self._domain)
            with ExitStack() as ours:  # what QEMU inherits, we close
                self._make_folder()
                self._confined = Confined(self._domain, self._config, self._folders, self._folders.guest(self._uuid))
                self._make_group()
                log = ours.enter_context(self._folders.guest_log(self._domain.name).open("ab"))
                folder = self._folders.guest(self._uuid)
                resources = Resources(ours, folder=folder, port_locks=self._folders.ports, log=log.fileno())
                self._prepare_displays(resources)
                launch = await self._prepare(resources, log.fileno())
                env = command.environment(self._domain, launch, os.environ)
                argv = self._arguments(launch, resources)
                await self._start_helpers(launch, log.fileno())
                await self._confined.prepare(launch, self._group)
                await self._spawn(argv, env, resources.inherited, undo, log)
            keeper.ensure(self._folders, self._uri)
            async with self._greeted() as monitor:
                await readback.ptys(self._domain, monitor)
                await readback.modules(self._domain, monitor)
                await hotcpus.complete(monitor, self._domain)
                assert self._process is not None  # it has greeted us
                await arrivals.settle_all(monitor, self._process.pid, self._domain, self._group)
                await transient.cover(self._domain, monitor, launch)
                await adjust(self._domain, self._caps, monitor, self._config)
                if self._incoming >= 0:
                    await transfer.load(monitor, self._incoming)
                self._note_document()
                if not paused:
                    await monitor.execute("cont")
            self._life.started(self._uuid, self._live.id, paused=paused)
            undo.pop_all()

    async def _fail(self) -> None:
        self._life.will_stop(self._uuid, self._live.id, ShutoffReason.FAILED)
        await self._life.ended(self._uuid, self._live.id)

    def _make_folder(self) -> None:
        folder = self._folders.guest(self._uuid)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        self._key = os.urandom(KEY_SIZE)
        write_atomically(folder / "master-key.aes", self._key)
        for name, text in security.files(self._domain).items():
            write_atomically(folder / name, text.encode())
        channels.name(self._domain, folder)
        channels.tell_encryption(self._domain, self._config.chardev.tls)

    def _make_group(self) -> None:
        """A control group, with the limits that the guest has as a whole; without limits it may be left out."""
        if not self._folders.privileged:
            return
        folder = self._folders.guest(self._uuid)
        try:
            self._group = groups.create(folder, groups.usable(self._config), groups.name(self._domain))
            enforce.process_limits(self._group, self._domain)
            groups.tell(self._domain)
        except OSError as problem:
            if enforce.has_tune(self._domain):
                raise
            log.warning("%s runs without a control group: %s", self._domain.name, problem)
            groups.remove(folder)
            self._group = None

    def _prepare_displays(self, resources: Resources) -> None:
        folder = self._folders.guest(self._uuid)
        place = self._confined.folder()
        displays.complete(self._domain, self._config, place, displays.rendernode, dbusdaemon.socket(folder))
        displays.choose_ports(self._domain, self._config, resources.port)

    async def _prepare(self, resources: Resources, log: int) -> command.Launch:
        folder = self._folders.guest(self._uuid)
        host = Prepared(self._domain, folder, self._folders.ports, resources, self._uri)
        await host.prepare(log)
        return command.Launch(
            folder=folder,
            monitor_fd=resources.listen(self._folders.control(self._uuid)),
            opener=resources,
            memory=self._host_memory(),
            host=host,
            now=datetime.now().astimezone(),
            reach=resources.reach,
            vault=Vault(key=self._key, find=await keyring.fetch(self._domain, self._config, self._uri)),
            volume=await shelf.fetch(self._domain, self._uri),
            is_cdrom=images.is_cdrom,
            user_id=identity.user_id,
            group_id=identity.group_id,
            config=self._config,
            tpm_socket=folder / "swtpm.sock",
            incoming="defer" if self._incoming >= 0 else "",
            sandbox=self._config.seccomp_sandbox,
            identity=self._confined.user,
        )

    def _host_memory(self) -> HostMemory:
        """What the host has for the guest's memory, with the folders that files and huge pages go to."""
        found = hostmemory.find(files=self._folders.ram(self._uuid), name=self._uuid)
        for folder in backing.folders(self._domain, found):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return found

    def _arguments(self, launch: command.Launch, resources: Resources) -> list[str]:
        argv = command.build(self._domain, self._caps, launch)
        blockdev.tell_numbers(self._domain, launch)
        # Ours alone, beside what the document asks for: two more monitors, and a file with the pid.
        for name, path in (("watch", self._folders.watch(self._uuid)), ("query", self._folders.query(self._uuid))):
            argv += ["-chardev", f"socket,id=char{name},fd={resources.listen(path)},server=on,wait=off"]
            argv += ["-mon", f"chardev=char{name},id={name},mode=control"]
        argv += ["-pidfile", str(self._folders.pidfile(self._uuid))]
        if self._incoming >= 0:
            resources.inherited.append(self._incoming)
        return argv

    async def _start_helpers(self, launch: command.Launch, log: int) -> None:
        await storagehelpers.start(self._domain, launch.folder, log)
        await dbusdaemon.start(self._domain, launch.folder, log)
        await swtpm.start(self._domain, launch, self._folders.tpm(self._uuid), log)

    async def _spawn(
        self, argv: list[str], env: dict[str, str], fds: list[int], undo: AsyncExitStack, log: IO[bytes]
    ) -> None:
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} starting: {' '.join(argv)}\n".encode())
        log.flush()
        self._log_start = log.tell()
        confined = self._confined
        pid = spawn(argv, output=log.fileno(), pass_fds=fds, env=env, before=confined.before, user=confined.user)
        self._process = identify(pid) or ProcessId(pid, 0, "")
        undo.push_async_callback(end, self._process)
        self._note_process(self._process)
        confined.limit(pid)
        if self._group:
            self._group.add(pid)

    def _note_process(self, process: ProcessId) -> None:
        def step(_: Entry, live: Live) -> list[Any]:
            live.pid, live.started, live.boot = process.pid, process.started, process.boot
            return []

        self._life.change(self._uuid, self._live.id, step)

    @asynccontextmanager
    async def _greeted(self) -> AsyncIterator[Monitor]:
        """The monitor, as soon as QEMU serves it; if QEMU ends before, its own words are the error."""
        try:
            async with connected(self._folders.control(self._uuid), patience=GREETING) as monitor:
                yield monitor
        except HypervisorError:
            died, words = await self._died(), self._last_words()
            if not died and _WAITING in words:
                text = f"nobody connected to {self._domain.name!r} within {GREETING:.0f} seconds: {words}"
                raise HypervisorError(text, hint="start the program that connects, or use mode='client'") from None
            if not died:
                raise
            raise HypervisorError(
                f"QEMU ended while starting {self._domain.name!r}: {words or 'it said nothing'}",
                hint=self._advice(words),
            ) from None

    def _advice(self, words: str) -> str:
        if _LOCKED in words and (users := self._other_users()):
            return f"another guest, {users}: stop it, or make the disk <shareable/> in both"
        hint = next((hint for sign, hint in _ADVICE if sign in words), "")
        return hint or f"its log is {self._folders.guest_log(self._domain.name)}"

    def _other_users(self) -> str:
        """Which guests that run have a disk of ours."""
        ours = {path for _, path in files.disks(self._domain)}
        found = []
        for entry in self._table.all():
            if entry.live and entry.live.xml and entry.uuid != self._uuid:
                theirs = {path for _, path in files.disks(parse_domain(entry.live.xml))}
                found += [f"{entry.name!r}, uses {path}" for path in sorted(ours & theirs)]
        return ", and ".join(found)

    async def _died(self) -> bool:
        assert self._process is not None  # the monitor comes after the process
        try:
            async with asyncio.timeout(2.0):
                await wait_exit(self._process.pid)
        except TimeoutError:
            return False
        return True

    def _last_words(self) -> str:
        """What QEMU wrote in this start, without the time and its own name before each line."""
        with self._folders.guest_log(self._domain.name).open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - _LOG_TAIL))
            lines = log.read(_LOG_TAIL).decode(errors="replace").splitlines()
        name = re.escape(Path(self._caps.binary).name)
        told = (re.sub(rf"^(\d{{4}}-\S+Z )?{name}: ", "", line) for line in lines)
        return "; ".join(line for line in told if line and not line.startswith(_CHATTER))

    def _note_document(self) -> None:
        xml = render(self._domain, secure=True)

        def step(_: Entry, live: Live) -> list[Any]:
            live.xml = xml
            return []

        self._life.change(self._uuid, self._live.id, step)


#: What QEMU says while all is well.
_CHATTER = "char device redirected to"

#: How QEMU says that it stands still until somebody connects to a socket, such as that of a vhost-user card.
_WAITING = "waiting for connection"

#: How QEMU says that an image is in use, and by whom it cannot know.
_LOCKED = '"write" lock'

#: What QEMU says, and what to do about it.
_ADVICE = (
    ("-soundhw", "QEMU 7.1 and newer have no PC speaker: remove <sound model='pcspk'/>"),
    ('Failed to get "write" lock', "another guest or program uses this image: stop it, or make the disk <shareable/>"),
    ('Failed to get shared "write" lock', "another guest or program uses this image for writing: stop it first"),
    ("Address already in use", "another program listens there: choose another port, or let one be chosen: port='-1'"),
    ("No space left", "make room on the disk"),
    ("cannot set up guest memory", "the host has too little memory for this guest: lower <memory>"),
    ("Could not open", "check that the file exists and that you may read and write it"),
    ("Permission denied", "check who may read and write the file"),
)
