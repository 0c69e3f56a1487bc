"""What a guest leaves behind when it has ended: its helpers, devices of the host, files and folders.

All of it may take a while (files of gigabytes go, helpers are given time), so it is done in a thread.
"""

from __future__ import annotations

import logging
import shutil

from vmherd.driver.types import ShutoffReason
from vmherd.errors import VmherdError
from vmherd.hypervisors.qemu import helpers
from vmherd.hypervisors.qemu.folders import PROFILE, Folders
from vmherd.hypervisors.qemu.host import rebind
from vmherd.hypervisors.qemu.startup import leftovers
from vmherd.hypervisors.qemu.tuning import groups
from vmherd.state.domains import Entry, Live

log = logging.getLogger("vmherd.qemu")

#: Ends after which nobody looks into the log of a guest that is gone itself.
_EXPECTED = (ShutoffReason.SHUTDOWN, ShutoffReason.DESTROYED, ShutoffReason.SAVED)


def clear(folders: Folders, entry: Entry, live: Live, reason: ShutoffReason) -> None:
    """Take away what was there for this life of a guest, and for the guest itself if it goes with it.

    Doing it twice does no harm, as long as the guest was not started again in between.
    """
    folder = folders.guest(entry.uuid)
    helpers.end_all(folder)
    rebind.give_back(folder)
    leftovers.remove_all(folder)
    groups.remove(folder)
    _give_back(folders, entry)
    if (folder / PROFILE).exists():
        from vmherd.hypervisors.qemu import mandatory  # few hosts have AppArmor

        mandatory.forget(folder)
    shutil.rmtree(folder, ignore_errors=True)
    from vmherd.hypervisors.qemu.host import hostmemory  # it knows notations of documents, which lists do without

    hostmemory.remove(folders.ram(entry.uuid), entry.uuid)
    if entry.record.config is None:
        _clear_transient(folders, entry, live, reason)


def _give_back(folders: Folders, entry: Entry) -> None:
    """Files that are out of reach now stay noted: the guest's next end tries again."""
    if not folders.owners(entry.uuid).exists():
        return
    from vmherd.hypervisors.qemu import owners  # it knows documents, which lists do without

    try:
        owners.give_back(folders, entry.uuid)
    except (OSError, VmherdError) as problem:
        log.warning("%s: a file is not given back: %s", entry.name, problem)


def _clear_transient(folders: Folders, entry: Entry, live: Live, reason: ShutoffReason) -> None:
    if reason in _EXPECTED:
        folders.guest_log(entry.name).unlink(missing_ok=True)
    if reason is not ShutoffReason.SAVED and folders.tpm(entry.uuid).exists():
        from vmherd.hypervisors.qemu.helpers import swtpm  # few guests have a TPM

        swtpm.forget(live.xml, folders.tpm(entry.uuid))
