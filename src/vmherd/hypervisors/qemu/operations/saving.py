"""A guest's memory in a file, and back."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vmherd.driver.saving import DumpFormat
from vmherd.driver.types import DomainInfo, State
from vmherd.errors import HostError, InvalidArgument, InvalidState, OperationUnsupported
from vmherd.events import DomainEvent
from vmherd.hypervisors.qemu.connection import QemuConnection
from vmherd.state.domains import Entry
from vmherd.util.files import on_host

if TYPE_CHECKING:
    from vmherd.conf.domain import Domain
    from vmherd.hypervisors.qemu.saved.image import Image

log = logging.getLogger("vmherd.qemu")


class QemuSaving(QemuConnection):
    """A guest's memory in a file, and back."""

    async def domain_save(
        self, uuid: str, path: Path, *, xml: str = "", bypass_cache: bool = False, running: bool | None = None
    ) -> None:
        await self._save(uuid, path, xml=xml, bypass_cache=bypass_cache, running=running)

    async def domain_managed_save(
        self, uuid: str, *, xml: str = "", bypass_cache: bool = False, running: bool | None = None
    ) -> None:
        await self._save(uuid, None, xml=xml, bypass_cache=bypass_cache, running=running)

    async def _save(self, uuid: str, path: Path | None, *, xml: str, bypass_cache: bool, running: bool | None) -> None:
        """To ``path``, or with None to the managed image."""
        self.require_writable()
        from vmherd.hypervisors.qemu.saved import documents
        from vmherd.hypervisors.qemu.saved.outgoing import Outgoing

        async with self._jobs.hold(uuid, "save") as job:
            entry = await self._whole(uuid)
            live = self._alive(entry)
            if path is None and entry.record.config is None:
                raise InvalidState("cannot do managed save for transient domain", hint="save it to a file")
            running = live.state is State.RUNNING if running is None else running
            format_ = self._workshop.config.save_image_format
            folder = self._folders.guest(uuid)
            content = await documents.content(live.xml, folder, xml, self.accept, format_, running=running)
            target = path or self._managed(entry)
            outgoing = Outgoing(self._life, self._folders, entry, live, job, target)
            await outgoing.save(content, managed=path is None, bypass_cache=bypass_cache)

    def _managed(self, entry: Entry) -> Path:
        path = self._folders.saved(entry.name)
        with on_host("save the guest"):
            path.parent.mkdir(mode=0o700, exist_ok=True)
        return path

    async def domain_restore(
        self,
        path: Path,
        *,
        xml: str = "",
        bypass_cache: bool = False,
        running: bool | None = None,
        reset_nvram: bool = False,
    ) -> DomainInfo:
        self.require_writable()
        from vmherd.hypervisors.qemu.saved import documents, image

        found = await asyncio.to_thread(image.read, path)
        domain = await documents.restored(found, xml, self.accept)
        assert domain.uuid is not None  # the document was looked at
        async with self._jobs.hold(domain.uuid, "restore"):
            running = found.running if running is None else running
            await self._restore(path, found, domain, running, bypass_cache=bypass_cache, reset_nvram=reset_nvram)
        return self.table.get(domain.uuid).info

    async def _restore(
        self, path: Path, found: Image, domain: Domain, running: bool, *, bypass_cache: bool, reset_nvram: bool
    ) -> None:
        from vmherd.hypervisors.qemu.saved import carry

        await self._workshop.prepare(domain)
        async with carry.out_of(path, found.stream, found.compression, bypass_cache=bypass_cache) as way:
            _, live = self.begin(None, domain, restored_from=str(path))
            await self._workshop.start(domain, live, paused=not running, incoming=way.fd, reset_nvram=reset_nvram)

    async def _go_on(self, entry: Entry, paused: bool, bypass_cache: bool, reset_nvram: bool) -> bool:
        """Let a guest go on from its managed image; False if that is damaged, so that it has to boot."""
        from vmherd.hypervisors.qemu.saved import documents, image

        path = self._folders.saved(entry.name)
        try:
            found = await asyncio.to_thread(image.read, path) if path.exists() else None
        except image.Corrupt as problem:
            log.warning("cannot go on from %s, so %r boots: %s", path, entry.name, problem)
            found = None
        if found is None:
            return False
        domain = await documents.restored(found, "", self.accept)
        running = found.running and not paused
        await self._restore(path, found, domain, running, bypass_cache=bypass_cache, reset_nvram=reset_nvram)
        self._remove_managed(entry)
        return True

    def _forget_managed(self, entry: Entry) -> None:
        """Let the guest boot next time.  The record counts; the file is just no longer needed."""

        def forget(entry: Entry) -> list[DomainEvent]:
            entry.record.saved = False
            return []

        self.table.change(entry.uuid, forget, durable=True)
        self._remove_managed(entry)

    def _remove_managed(self, entry: Entry) -> None:
        with suppress(OSError):
            self._folders.saved(entry.name).unlink()

    async def domain_managed_save_remove(self, uuid: str) -> None:
        self.require_writable()
        async with self._jobs.hold(uuid, "modify"):
            entry = self.table.get(uuid)
            if not entry.record.saved:
                path = self._folders.saved(entry.name)
                raise HostError(f"Failed to remove managed save file '{path}': No such file or directory")
            self._forget_managed(entry)

    async def saved_xml(self, path: Path, *, secure: bool = False) -> str:
        if secure:
            self.require_writable()
        from vmherd.conf.domain import parse_domain, render
        from vmherd.hypervisors.qemu.saved import image

        return render(parse_domain((await asyncio.to_thread(image.read, path)).xml), secure=secure)

    async def domain_managed_save_xml(self, uuid: str, *, secure: bool = False) -> str:
        return await self.saved_xml(self._own_image(uuid), secure=secure)

    def _own_image(self, uuid: str) -> Path:
        entry = self.table.get(uuid)
        if not entry.record.saved:
            raise InvalidState("domain does not have managed save image", hint="'vmherd managedsave' makes one")
        return self._folders.saved(entry.name)

    async def saved_define(self, path: Path, xml: str, *, running: bool | None = None) -> None:
        self.require_writable()
        from vmherd.conf.domain import render
        from vmherd.hypervisors.qemu.saved import documents, image

        found = await asyncio.to_thread(image.read, path)
        domain = await documents.replacement(await documents.described(found, self.accept), xml, self.accept)
        found.xml = render(domain, secure=True)
        found.running = found.running if running is None else running
        await asyncio.to_thread(image.rewrite, path, found)

    async def domain_managed_save_define(self, uuid: str, xml: str, *, running: bool | None = None) -> None:
        self.require_writable()
        async with self._jobs.hold(uuid, "modify"):
            await self.saved_define(self._own_image(uuid), xml, running=running)

    async def domain_dump(
        self,
        uuid: str,
        path: Path,
        *,
        dump_format: DumpFormat = DumpFormat.RAW,
        memory_only: bool = False,
        crash: bool = False,
        live: bool = False,
        reset: bool = False,
        bypass_cache: bool = False,
    ) -> None:
        self.require_writable()
        if crash + live + reset > 1:
            raise InvalidArgument("crash, live and reset exclude each other", hint="choose one of them")
        if dump_format is not DumpFormat.RAW and not memory_only:
            raise OperationUnsupported(
                "kdump-compressed format is only supported with memory-only dump", hint="dump the memory only"
            )
        from vmherd.hypervisors.qemu.saved import carry, image
        from vmherd.hypervisors.qemu.saved.outgoing import Outgoing

        compression = image.Compression[self._workshop.config.dump_image_format.upper()]
        carry.require(compression)
        async with self._jobs.hold(uuid, "dump") as job:
            entry = await self._whole(uuid)
            dump = Outgoing(self._life, self._folders, entry, self._alive(entry), job, path)
            async with dump.dumping(live=live):
                if memory_only:
                    await dump.dump_memory(_QEMU_FORMATS.get(dump_format, str(dump_format)), bypass_cache=bypass_cache)
                else:
                    await dump.dump_everything(compression, bypass_cache=bypass_cache)
                if crash:
                    await dump.crash()
                if reset:
                    await dump.reset()


#: QEMU's names of formats where they are not libvirt's (DumpGuestMemoryFormat in qapi/dump.json).
_QEMU_FORMATS = {DumpFormat.RAW: "elf"}
