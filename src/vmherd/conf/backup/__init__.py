"""Backups: copies of disks, pushed to files or pulled by a client over NBD.

backup = parse_backup(text)              a user's request; or origin=FILE: a job the daemon kept
check(backup)                            one DocumentError with everything that is wrong
align(backup, domain, suffix=str(now))   an entry for each disk of the guest, with its file and mode
render(backup)                           text again; with internal=True for the daemon's own files
"""

from vmherd.conf.backup.alignment import align
from vmherd.conf.backup.document import (
    Backup,
    BackupDisk,
    BackupImage,
    BackupMode,
    BackupServer,
    Extent,
    JobState,
    parse_backup,
    render,
)
from vmherd.conf.backup.rules import check, problems

__all__ = [
    "Backup",
    "BackupDisk",
    "BackupImage",
    "BackupMode",
    "BackupServer",
    "Extent",
    "JobState",
    "align",
    "check",
    "parse_backup",
    "problems",
    "render",
]
