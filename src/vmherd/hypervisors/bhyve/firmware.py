"""Chooses a UEFI image of the host for a guest that asks for UEFI without naming one.

Source: bhyveFirmwareFillDomain of libvirt
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.os import Firmware, Loader, LoaderType
from vmherd.errors import HostError, Unsupported

#: Where the FreeBSD port edk2-bhyve installs its images, and the one without a BIOS inside.
FOLDER = Path("/usr/local/share/uefi-firmware")
_PREFERRED = "BHYVE_UEFI.fd"


def choose(domain: Domain, folder: Path, images: Sequence[str]) -> None:
    """Name the image in ``domain``; ``images`` are the files in ``folder``.

    Raises HostError if there is none, Unsupported for a firmware that is not UEFI.
    """
    wanted = domain.os.firmware
    if wanted is None:
        return
    if wanted is not Firmware.EFI:
        raise Unsupported(
            f"bhyve has no firmware {str(wanted)!r}", place="domain/os/@firmware", hint="use firmware='efi'"
        )
    found = [each for each in images if each.endswith(".fd") and "VARS" not in each]
    if not found:
        raise HostError(f"there is no UEFI image in {folder}", hint="pkg install edk2-bhyve, or name a <loader>")
    name = _PREFERRED if _PREFERRED in found else found[0]
    domain.os.loader = Loader(readonly=True, type=LoaderType.PFLASH, path=str(folder / name))
