"""Sizes of the images of guests that do not run, looked at no more often than they may have changed.

Looking is for a thread of its own: a server of files that is gone makes nobody wait but that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping

from vmherd.driver.blocks import BlockInfo
from vmherd.errors import HostError
from vmherd.hypervisors.qemu.host.imagesize import Look, look
from vmherd.hypervisors.qemu.pulse import PATIENCE
from vmherd.util.aside import aside

#: Seconds for which a look is good, and after which one that hangs does not keep others from another.
_FRESH, _GIVE_UP = 1.0, 60.0

log = logging.getLogger("vmherd.qemu")

#: The path of an image, and its format.
Image = tuple[str, str]


class Images:
    """``sizes`` are those of every image that was asked for, as far as they could be found out.

    ``generation`` counts the looks that found something new.
    """

    def __init__(self) -> None:
        self.sizes: dict[str, BlockInfo] = {}
        self.generation = 0
        self._new_in: dict[str, int] = {}
        self._looks: dict[Image, Look] = {}
        self._seen: dict[Image, float] = {}
        self._looking: asyncio.Task[None] | None = None

    async def refresh(self, images: Iterable[Image]) -> None:
        """Look at those that were not looked at just now; ``generation`` grows if one has changed.

        Waits a second at most: then what is known counts, and nothing more is looked at until the host answers.
        """
        old = time.monotonic() - _FRESH
        due = [image for image in images if self._seen.get(image, 0.0) < old]
        if due and self._looking is None:
            self._looking = asyncio.create_task(self._look(due))
        if due and self._looking:
            await asyncio.wait((self._looking,), timeout=PATIENCE)

    async def _look(self, due: list[Image]) -> None:
        try:
            changed = await aside(_GIVE_UP, _changed, due, dict(self._looks))
            self._seen.update(dict.fromkeys(due, time.monotonic()))
            self.generation += bool(changed)
            for image, seen in changed.items():
                self._note(image, seen)
        except HostError as problem:
            log.warning("images of guests that do not run: %s", problem)
        finally:
            self._looking = None

    def _note(self, image: Image, seen: Look) -> None:
        self._looks[image] = seen
        self._new_in[image[0]] = self.generation
        self.sizes.pop(image[0], None)
        if seen.info:
            self.sizes[image[0]] = seen.info

    def changed(self, paths: Iterable[str], since: int) -> bool:
        """Whether one of these images is another than in generation ``since``."""
        return since != self.generation and any(self._new_in.get(path, 0) > since for path in paths)

    def forget(self, known: set[Image]) -> None:
        """Keep nothing of images but these."""
        for image in self._looks.keys() - known:
            del self._looks[image]
            self._seen.pop(image, None)
            self._new_in.pop(image[0], None)
            self.sizes.pop(image[0], None)


def _changed(due: list[Image], looks: Mapping[Image, Look]) -> dict[Image, Look]:
    found = {}
    for image in due:
        known = looks.get(image)
        if known is None or not known.same(image[0]):
            seen = look(*image)
            if seen != known:
                found[image] = seen
    return found
