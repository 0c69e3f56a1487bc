"""Scripts of the host's owner that hear of networks: hooks/network in the configuration folder, and hooks/network.d.

Called as libvirt calls its own (https://libvirt.org/hooks.html): the network's name, the operation, "begin" or "end",
"-"; the document in <hookData> on the standard input.  One that fails before a start prevents it.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from vmherd.conf.network import Network, render_network
from vmherd.errors import HostError, OperationFailed
from vmherd.util.command import run

log = logging.getLogger("vmherd.network")

_PATIENCE = 60.0
#: What each operation's suboperation is.  Source: networkRunHook's callers
_PHASES = {
    "start": "begin",
    "started": "begin",
    "stopped": "end",
    "updated": "begin",
    "port-created": "begin",
    "port-deleted": "end",
}


class Hooks:
    """The scripts of one folder."""

    def __init__(self, folder: Path) -> None:
        self._script = folder / "network"
        self._more = folder / "network.d"

    def _scripts(self) -> list[Path]:
        try:
            more = sorted(self._more.iterdir())
        except OSError:
            more = []
        return [path for path in (self._script, *more) if path.is_file() and os.access(path, os.X_OK)]

    async def ask(self, network: Network, operation: str, more: str = "") -> None:
        """Tell of something that is about to happen.  Raises OperationFailed where a script is against it.

        ``more`` is another document that goes with it, such as that of a port.
        """
        for script in self._scripts():
            text = f"<hookData>\n{render_network(network)}{more}</hookData>\n"
            try:
                words: list[str | Path] = [script, network.name or "", operation, _PHASES[operation], "-"]
                await run(words, patience=_PATIENCE, feed=text)
            except HostError as problem:
                hint = f"look at what {script} says"
                raise OperationFailed(f"Hook script execution failed: {problem}", hint=hint) from None

    async def tell(self, network: Network, operation: str, more: str = "") -> None:
        """Tell of something that has happened."""
        try:
            await self.ask(network, operation, more)
        except OperationFailed as problem:
            log.warning("%s", problem)
