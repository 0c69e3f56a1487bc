"""Test guests in files: their document behind a magic word, as libvirt's test driver writes it."""

from __future__ import annotations

import struct
from pathlib import Path

from vmherd.conf.domain import Domain, parse_domain, render, stored
from vmherd.conf.domain.abi import check_same_hardware
from vmherd.driver.saving import DumpFormat
from vmherd.driver.types import DomainInfo, ShutoffReason
from vmherd.errors import HypervisorError, InvalidState, OperationUnsupported
from vmherd.events import DomainEvent
from vmherd.hypervisors.test.life import TestLife, alive, stop
from vmherd.state.domains import Entry
from vmherd.util.files import on_host, write_atomically

_MAGIC = b"TestGuestMagic"
_LENGTH = struct.Struct("=i")


class TestSaving(TestLife):
    """Saving, restoring and dumping what is nothing but a document."""

    async def domain_save(
        self, uuid: str, path: Path, *, xml: str = "", bypass_cache: bool = False, running: bool | None = None
    ) -> None:
        self.require_writable()
        domain = stored(parse_domain(alive(self.table.get(uuid)).xml))
        _write(path, await self._replaced(domain, xml) if xml else domain)
        self.table.change(uuid, lambda entry: stop(entry, ShutoffReason.SAVED))

    async def _replaced(self, domain: Domain, xml: str) -> Domain:
        new = await self.read(xml)
        check_same_hardware(domain, new)
        return new

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
        domain = await self.read(_read(path))
        if xml:
            domain = await self._replaced(domain, xml)
        return self.boot(None, domain, paused=running is False, restored=True)

    async def saved_xml(self, path: Path, *, secure: bool = False) -> str:
        return render(parse_domain(_read(path)), secure=secure)

    async def saved_define(self, path: Path, xml: str, *, running: bool | None = None) -> None:
        self.require_writable()
        _write(path, await self._replaced(await self.read(_read(path)), xml))

    async def domain_managed_save(
        self, uuid: str, *, xml: str = "", bypass_cache: bool = False, running: bool | None = None
    ) -> None:
        self.require_writable()
        if xml:
            raise OperationUnsupported("test guests go on as they are defined", hint="change the definition")

        def keep(entry: Entry) -> list[DomainEvent]:
            alive(entry)
            if entry.record.config is None:
                raise InvalidState("cannot do managed save for transient domain", hint="save it to a file")
            entry.record.saved = True
            return stop(entry, ShutoffReason.SAVED)

        self.table.change(uuid, keep)

    async def domain_managed_save_remove(self, uuid: str) -> None:
        self.require_writable()

        def forget(entry: Entry) -> list[DomainEvent]:
            entry.record.saved = False
            return []

        self.table.change(uuid, forget)

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
        alive(self.table.get(uuid))
        if dump_format is not DumpFormat.RAW:
            raise OperationUnsupported("kdump-compressed format is not supported here", hint="dump it raw")
        with on_host("dump the guest"):
            write_atomically(path, _MAGIC)
        if crash:
            self.table.change(uuid, lambda entry: stop(entry, ShutoffReason.CRASHED))


def _write(path: Path, domain: Domain) -> None:
    text = render(domain, secure=True).encode()
    with on_host("save the guest"):
        write_atomically(path, _MAGIC + _LENGTH.pack(len(text)) + text)


def _read(path: Path) -> str:
    """The document of a saved guest.  Raises HypervisorError for a file that has none."""
    with on_host("read the saved guest"):
        data = path.read_bytes()
    if not data.startswith(_MAGIC):
        raise HypervisorError("mismatched header magic", hint="this is no file that a test guest was saved to")
    begin = len(_MAGIC) + _LENGTH.size
    if len(data) < begin or len(data) - begin != _LENGTH.unpack_from(data, len(_MAGIC))[0]:
        raise HypervisorError("the file of the saved guest is damaged")
    return data[begin:].decode(errors="replace")
