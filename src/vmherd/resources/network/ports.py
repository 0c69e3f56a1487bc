"""The operations on ports: the places of guests' cards in networks.

A port is noted before anything is made for it, so that whoever deletes it, however late, takes all of it back.  What
it costs to make one does not depend on how many there are, unless cards of the host or floors are shared out.

Source: networkAllocatePort, networkReleasePort and networkPortSetParameters of libvirt's bridge driver.
"""

from __future__ import annotations

from vmherd.conf.network import Network, NetworkPort, parse_port, render
from vmherd.conf.network.shared import NetworkRate, PortBandwidth
from vmherd.driver.network import NetworkDriver, PortInfo
from vmherd.driver.params import Params
from vmherd.errors import InvalidArgument
from vmherd.resources.network import floors, plugs, records
from vmherd.resources.network.life import Life, to_the_end
from vmherd.resources.network.porttable import Port, PortTable
from vmherd.util.process import boot_id


class NetworkPorts(NetworkDriver):
    """The part of the driver that looks after ports; ``_table`` are its networks."""

    _table: records.Table
    _ports: PortTable
    _life: Life

    def _active_network(self, uuid: str) -> Network:
        """Raises InvalidState for a network that is not active."""
        return records.active(self._table.get(uuid))

    async def port_list(self, network: str) -> list[PortInfo]:
        self._active_network(network)
        return [_info(network, uuid, port) for uuid, port in self._ports.all(network).items()]

    async def port_find(self, network: str, uuid: str) -> PortInfo:
        return _info(network, uuid, self._ports.get(network, uuid))

    async def port_xml(self, network: str, uuid: str) -> str:
        return self._ports.get(network, uuid).xml

    async def port_create(self, network: str, xml: str) -> PortInfo:
        self.require_writable()
        found, wanted = self._active_network(network), parse_port(xml)
        if wanted.plug:
            raise InvalidArgument("Port reclaim not requested but plug type is not none", hint="leave <plug> out")
        plugs.inherit(found, wanted)
        port = self._ports.insert(network, wanted.uuid, lambda: self._plugged(network, found, wanted))
        try:
            await self._reserve(network, found, port)
            await self._life.hooks.ask(found, "port-created", port.xml)
        except BaseException:
            await to_the_end(self.port_delete(network, wanted.uuid))
            raise
        return _info(network, wanted.uuid, port)

    def _plugged(self, uuid: str, network: Network, port: NetworkPort) -> Port:
        """The port with its place; nobody else takes one meanwhile."""
        shared = plugs.is_pool(network) or floors.floor(port)
        others = list(self._ports.all(uuid).values()) if shared else []
        port.plug = plugs.choose(network, port, [each.device for each in others])
        plugs.check(network, port)
        return _kept(network, port, others)

    async def _reserve(self, uuid: str, network: Network, port: Port) -> None:
        if port.class_id:
            await floors.reserve(network, port.mac, port.class_id, port.floor, self._promised(uuid))

    def _promised(self, network: str) -> int:
        """The floors of all ports together."""
        return sum(each.floor for each in self._ports.all(network).values())

    async def port_delete(self, network: str, uuid: str) -> None:
        self.require_writable()
        port = self._ports.get(network, uuid)
        if port.class_id and self._table.get(network).live is not None:
            rest = self._promised(network) - port.floor
            await floors.release(self._active_network(network), port.mac, port.class_id, rest)
        self._ports.delete(network, uuid)
        if self._table.get(network).live is not None:
            await self._life.hooks.tell(self._active_network(network), "port-deleted", port.xml)

    async def port_params(self, network: str, uuid: str) -> Params:
        told = self._ports.get(network, uuid).document.bandwidth
        return {
            f"{way}.{name}": getattr(rate, name) or 0
            for way, names in _RATES.items()
            if (rate := getattr(told, way, None))
            for name in names
        }

    async def port_set_params(self, network: str, uuid: str, params: Params) -> None:
        self.require_writable()
        found, old = self._active_network(network), self._ports.get(network, uuid)
        document = old.document
        _set_rates(document, params)
        plugs.check(found, document)
        others = [port for key, port in self._ports.all(network).items() if key != uuid]
        new = _kept(found, document, others)
        self._ports.replace(network, uuid, new)
        try:
            if old.class_id and old.class_id != new.class_id:
                await floors.release(found, old.mac, old.class_id, self._promised(network))
            await self._reserve(network, found, new)
        except BaseException:
            self._ports.replace(network, uuid, old)
            raise


def _kept(network: Network, port: NetworkPort, others: list[Port]) -> Port:
    """What is kept of a port that has its place.  Raises what ``floors.promise`` does."""
    floor = floors.floor(port)
    class_id = floors.promise(network, port, {each.class_id: each.floor for each in others}) if floor else 0
    if port.bandwidth:
        port.bandwidth.class_id = class_id or None
    return Port(
        xml=render(port),
        boot=boot_id(),
        owner=port.owner.uuid,
        mac=port.mac.address,
        device=plugs.device(port),
        floor=floor,
        class_id=class_id,
    )


_RATES = {"inbound": ("average", "peak", "floor", "burst"), "outbound": ("average", "peak", "burst")}


def _set_rates(port: NetworkPort, params: Params) -> None:
    """A direction that is told of is told in full, as with cards."""
    known = {f"{way}.{name}" for way, names in _RATES.items() for name in names}
    if strange := sorted(params.keys() - known):
        raise InvalidArgument(f"a port has no parameter {strange[0]!r}", hint=f"known: {', '.join(sorted(known))}")
    told = port.bandwidth or PortBandwidth()
    for way, names in _RATES.items():
        given = {name: int(params[f"{way}.{name}"]) for name in names if params.get(f"{way}.{name}")}
        if any(f"{way}.{name}" in params for name in names):
            setattr(told, way, NetworkRate(**given) if given.get("average") or given.get("floor") else None)
    port.bandwidth = told if told.inbound or told.outbound else None


def _info(network: str, uuid: str, port: Port) -> PortInfo:
    return PortInfo(uuid=uuid, network=network, owner=port.owner, mac=port.mac, device=port.device)
