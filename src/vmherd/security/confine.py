"""Giving up rights before a program is started: for a thread that ends with it (`util.apart`).

Source: capabilities(7), prctl(2), credentials(7)
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38


def drop_rights(*, forever: bool) -> None:
    """Let what this thread starts get no rights of root's, as whatever user it runs.  Raises OSError.

    ``forever``: nor win any by starting programs of others, or another label, either.
    """
    for number in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        _prctl(_PR_CAPBSET_DROP, number)
    if forever:
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
