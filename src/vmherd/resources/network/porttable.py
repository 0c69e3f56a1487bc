"""What is kept of ports, beside the networks in the same store."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from vmherd.conf.network import NetworkPort, parse_port
from vmherd.errors import AlreadyExists, NetworkPortNotFound
from vmherd.state.store import Record, Store
from vmherd.util.process import boot_id


class Port(msgspec.Struct, kw_only=True):
    """What is kept of a port: its document, and from it what all ports of a network are looked through for.

    ``device`` is the card of the host that it uses, ``boot`` when it was made (the kernel's boot id).
    """

    xml: str
    boot: str
    owner: str
    mac: str
    device: str = ""
    floor: int = 0
    class_id: int = 0

    @property
    def document(self) -> NetworkPort:
        return parse_port(self.xml)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Port).decode


class PortTable:
    """The ports of every network in one store; those from before the host's boot are gone."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self, network: str) -> dict[str, Port]:
        """By UUID, in its order."""
        found = {record.uuid: _decode(record.body) for record in self._store.all(_kind(network))}
        return {uuid: port for uuid, port in found.items() if port.boot == boot_id()}

    def get(self, network: str, uuid: str) -> Port:
        """Raises NetworkPortNotFound."""
        record = self._store.get(_kind(network), uuid)
        port = _decode(record.body) if record else None
        if port is None or port.boot != boot_id():
            raise NetworkPortNotFound(uuid)
        return port

    def forget_gone(self, network: str, *, active: bool) -> None:
        """Drop what a boot of the host has ended, or the end of the network."""
        with self._store.transaction():
            for record in self._store.all(_kind(network)):
                if not active or _decode(record.body).boot != boot_id():
                    self._store.delete(_kind(network), record.uuid)

    def insert(self, network: str, uuid: str, make: Callable[[], Port]) -> Port:
        """Keep a new port; what ``make`` looks at does not change meanwhile.  Raises AlreadyExists."""
        with self._store.transaction():
            known: Record | None = self._store.get(_kind(network), uuid)
            if known and _decode(known.body).boot == boot_id():
                raise AlreadyExists(f"Network port with UUID {uuid} already exists")
            if known:
                self._store.delete(_kind(network), uuid)
            port = make()
            self._store.insert(_kind(network), uuid, uuid, _encode(port))
        return port

    def replace(self, network: str, uuid: str, port: Port) -> None:
        self._store.replace(_kind(network), uuid, _encode(port))

    def delete(self, network: str, uuid: str) -> None:
        self._store.delete(_kind(network), uuid)


def _kind(network: str) -> str:
    return f"networkport/{network}"
