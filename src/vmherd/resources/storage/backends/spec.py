"""Where to look for sources of pools, and what was found: <source> and <sources>."""

from __future__ import annotations

from collections.abc import Sequence

from vmherd.conf.storage.pool import PoolSource, SourceDevice, SourceDir, SourceFormat, SourceHost
from vmherd.util.xmlmodel import Element, children, parse, render


class Sources(Element, tag="sources"):
    found: list[PoolSource] = children()


def read(text: str) -> PoolSource | None:
    """Raises DocumentError; None where nothing is said."""
    return parse(PoolSource, text) if text else None


def sources(found: Sequence[PoolSource]) -> str:
    return render(Sources(found=list(found)))


def source(
    *,
    host: str = "",
    port: int | None = None,
    folder: str = "",
    name: str | None = None,
    kind: str = "",
    devices: Sequence[str] = (),
) -> PoolSource:
    """One that was found; ``kind`` is its format."""
    return PoolSource(
        hosts=[SourceHost(name=host, port=port)] if host else [],
        devices=[SourceDevice(path=path) for path in devices],
        dir=SourceDir(path=folder) if folder else None,
        name=name,
        format=SourceFormat(type=kind) if kind else None,
    )
