"""vmherd runs virtual machines and everything around them.

>>> import vmherd
>>> with vmherd.connect("test:///default") as host:
...     [guest.name for guest in host.domains()]
['test']

``connect`` blocks, ``aconnect`` is the same API for asyncio.  Nothing else is imported until one of them is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["__version__", "aconnect", "connect"]

if TYPE_CHECKING:
    from vmherd.api.aio import connect as aconnect
    from vmherd.api.sync import connect


def __getattr__(name: str) -> object:
    # Importing vmherd is part of every command's start-up time, so the API loads when it is asked for.
    if name == "connect":
        from vmherd.api.sync import connect

        return connect
    if name == "aconnect":
        from vmherd.api.aio import connect as aconnect

        return aconnect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
