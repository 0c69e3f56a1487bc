"""A guest's memory in a file, and back."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from vmherd.driver.base import Driver
from vmherd.driver.types import DomainInfo


class DumpFormat(StrEnum):
    """What a dump is written as (virDomainCoreDumpFormat): ELF as it is, or with its pages compressed for crash(8)."""

    RAW = "raw"
    KDUMP_ZLIB = "kdump-zlib"
    KDUMP_LZO = "kdump-lzo"
    KDUMP_SNAPPY = "kdump-snappy"
    WIN_DMP = "win-dmp"


class SavingOperations(Driver):
    """Saving guests to files and restoring them; dumps for debuggers.

    ``bypass_cache`` leaves the host's file cache alone.  ``running`` is how a guest goes on: running, paused, or with
    None as it was.  Documents may replace those of images where the guest sees no difference, else DocumentError.
    Images are named by absolute paths on the driver's host.
    """

    async def domain_save(
        self, uuid: str, path: Path, *, xml: str = "", bypass_cache: bool = False, running: bool | None = None
    ) -> None:
        """Write a running guest to a file, and end it.  A failure or an abort lets it run on."""
        self._unsupported("domain_save")

    async def domain_restore(
        self,
        path: Path,
        *,
        xml: str = "",
        bypass_cache: bool = False,
        running: bool | None = None,
        reset_nvram: bool = False,
    ) -> DomainInfo:
        """Let a saved guest go on.  The file stays; restoring it again after the disks changed damages them.

        Raises OperationFailed for a file that is no whole image.
        """
        self._unsupported("domain_restore")

    async def saved_xml(self, path: Path, *, secure: bool = False) -> str:
        """The document in an image; with passwords if ``secure``."""
        self._unsupported("saved_xml")

    async def saved_define(self, path: Path, xml: str, *, running: bool | None = None) -> None:
        """Replace the document in an image, and how its guest goes on.  OperationFailed if it has no room there."""
        self._unsupported("saved_define")

    async def domain_managed_save(
        self, uuid: str, *, xml: str = "", bypass_cache: bool = False, running: bool | None = None
    ) -> None:
        """Save a running guest where the driver keeps such images, for its next start to go on from.

        Raises InvalidState for a transient one.
        """
        self._unsupported("domain_managed_save")

    async def domain_managed_save_remove(self, uuid: str) -> None:
        """Forget the managed image, so that the guest boots next time.  HostError if there is none."""
        self._unsupported("domain_managed_save_remove")

    async def domain_managed_save_xml(self, uuid: str, *, secure: bool = False) -> str:
        """The document in the managed image; InvalidState if there is none."""
        self._unsupported("domain_managed_save_xml")

    async def domain_managed_save_define(self, uuid: str, xml: str, *, running: bool | None = None) -> None:
        """Replace the document in the managed image, as ``saved_define`` does."""
        self._unsupported("domain_managed_save_define")

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
        """Write a running guest's memory to a file; it goes on afterwards.

        ``memory_only`` is for crash(8) and the like; else it is the hypervisor's own format, whose devices are in it,
        too.  ``crash`` ends the guest afterwards, ``reset`` resets it, ``live`` pauses it as shortly as possible.
        Raises InvalidArgument where these contradict each other.
        """
        self._unsupported("domain_dump")
