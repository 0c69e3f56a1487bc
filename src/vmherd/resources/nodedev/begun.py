"""Work on devices that must not stay half done: it is noted before it begins, so that a kill is made good later."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from vmherd.resources.nodedev.sysfs import names
from vmherd.state.jobs import Jobs

#: Seconds to wait for another process that works on the same device.
_PATIENCE = 10.0


class Begun:
    """What is being done to devices, one thing at a time to each; ``run`` is a folder that a boot empties."""

    def __init__(self, run: Path) -> None:
        self._folder = run / "begun"
        self._folder.mkdir(exist_ok=True, mode=0o700)
        self._jobs = Jobs(run / "jobs", noun="device", remember=False)

    @asynccontextmanager
    async def noted(self, doing: str, device: str) -> AsyncIterator[None]:
        """Note what is done in the block, which undoes by itself what fails."""
        note = self._folder / f"{doing}-{device}"
        async with self._jobs.hold(device, doing, patience=_PATIENCE):
            note.touch()
            try:
                yield
            finally:
                note.unlink(missing_ok=True)

    async def make_good(self, undo: Callable[[str, str], None]) -> None:
        """Have ``undo`` called with what was done, and to which device, by those who were killed meanwhile."""
        for name in names(self._folder):
            doing, _, device = name.partition("-")
            async with self._jobs.hold(device, "make good", patience=_PATIENCE):
                if (self._folder / name).exists():  # it was not just finished
                    undo(doing, device)
                    (self._folder / name).unlink()
