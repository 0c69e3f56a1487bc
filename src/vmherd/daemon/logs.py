"""The daemon's log: where it goes, how much is told, and in which form."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from collections.abc import Iterable

import msgspec

from vmherd.daemon.config import Log
from vmherd.util.files import on_host

#: The levels by libvirt's numbers (virLogPriority).
LEVELS = {1: logging.DEBUG, 2: logging.INFO, 3: logging.WARNING, 4: logging.ERROR}
_SYSLOG = "/dev/log"


class Output(msgspec.Struct, frozen=True):
    """``where`` is "stderr", "syslog" or "file:PATH"; it gets what is of ``level`` at least (a number of logging's)."""

    level: int
    where: str


class _Plain(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")


class _Json(logging.Formatter):
    """An object per line.  What a message is about stands in fields of its own."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "about", {}),
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(told).decode()


class Logs:
    """The log of this process, which can be changed while it runs."""

    def __init__(self, settings: Log) -> None:
        self.filters: dict[str, int] = {}
        self.outputs: list[Output] = []
        self.apply(settings)

    def apply(self, settings: Log) -> None:
        """Log as the settings say.  Raises HostError for an output that cannot be opened; then all stays as it was."""
        self._json = settings.format == "json"
        self.set_outputs(Output(logging.DEBUG, where) for where in settings.outputs)
        self.set_filters({name: _number(level) for name, level in settings.filters.items()})
        self.level = _number(settings.level)

    @property
    def level(self) -> int:
        """What is told where no filter says otherwise, as a number of logging's."""
        return logging.getLogger().level

    @level.setter
    def level(self, level: int) -> None:
        logging.getLogger().setLevel(level)

    def set_filters(self, filters: dict[str, int]) -> None:
        """Give parts of the program levels of their own."""
        for name in self.filters:
            logging.getLogger(name).setLevel(logging.NOTSET)
        for name, level in filters.items():
            logging.getLogger(name).setLevel(level)
        self.filters = filters

    def set_outputs(self, outputs: Iterable[Output]) -> None:
        """Write there from now on.  Raises HostError for what cannot be opened."""
        wanted = list(outputs)
        handlers = [self._handler(output) for output in wanted]
        root = logging.getLogger()
        for handler in list(root.handlers):
            root.removeHandler(handler)
            handler.close()
        for handler in handlers:
            root.addHandler(handler)
        self.outputs = wanted

    def _handler(self, output: Output) -> logging.Handler:
        handler: logging.Handler
        kind, _, path = output.where.partition(":")
        with on_host(f"log to {output.where}"):
            match kind:
                case "file":
                    handler = logging.handlers.WatchedFileHandler(path)
                case "syslog":
                    handler = logging.handlers.SysLogHandler(_SYSLOG)
                case _:
                    handler = logging.StreamHandler(sys.stderr)
        handler.setLevel(output.level)
        handler.setFormatter(_Json() if self._json else _Plain())
        return handler


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
