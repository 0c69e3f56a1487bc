"""Files elsewhere that go with a guest: its folder has a link to each, so that whoever sees it end can remove them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_SUFFIX = ".leftover"


def note(folder: Path, name: str, path: Path) -> None:
    """Let ``path`` go with the guest that has this folder."""
    (folder / f"{name}{_SUFFIX}").symlink_to(path)


def remove_all(folder: Path) -> None:
    for link in folder.glob(f"*{_SUFFIX}"):
        with suppress(OSError):
            os.unlink(link.readlink())
