"""Files of btrfs that are changed in place (chattr +C), which suits disks of guests.  Source: ioctl_iflags(2)"""

from __future__ import annotations

import fcntl
import struct

#: FS_IOC_GETFLAGS, FS_IOC_SETFLAGS and FS_NOCOW_FL of linux/fs.h, where a long has 8 bytes
_GETFLAGS, _SETFLAGS, _NOCOW = 0x80086601, 0x40086602, 0x00800000


def mark(fd: int, wanted: bool) -> None:
    """Mark a file that is empty still, or a folder for the files to come.  Raises OSError where nobody knows of it."""
    flags = struct.unpack("I", fcntl.ioctl(fd, _GETFLAGS, bytes(4)))[0]
    flags = flags | _NOCOW if wanted else flags & ~_NOCOW
    fcntl.ioctl(fd, _SETFLAGS, struct.pack("I", flags))
