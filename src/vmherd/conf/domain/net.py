"""<interface>: network cards.

Source: https://libvirt.org/formatdomain.html#network-interfaces
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device, PciAddress, UsbAddress
from vmherd.conf.domain.chardev import Reconnect
from vmherd.conf.domain.disk import BackendDomain
from vmherd.util.xmlmodel import Element, Mac, Switch, UInt, Uuid, YesNo, attr, child, children, leaf


class InterfaceType(StrEnum):
    USER = "user"
    ETHERNET = "ethernet"
    VHOSTUSER = "vhostuser"
    SERVER = "server"
    CLIENT = "client"
    MCAST = "mcast"
    NETWORK = "network"
    BRIDGE = "bridge"
    INTERNAL = "internal"
    DIRECT = "direct"
    HOSTDEV = "hostdev"
    UDP = "udp"
    VDPA = "vdpa"
    NULL = "null"
    VDS = "vds"


class MacType(StrEnum):
    GENERATED = "generated"
    STATIC = "static"


class MacAddress(Element, tag="mac"):
    address: Mac = attr()
    type: MacType | None = attr()
    check: YesNo | None = attr()


class IpAddress(Element, tag="ip"):
    address: str = attr()
    family: str | None = attr()
    prefix: UInt | None = attr()
    peer: str | None = attr()


class Route(Element, tag="route"):
    family: str | None = attr()
    address: str = attr()
    netmask: str | None = attr()
    prefix: UInt | None = attr()
    gateway: str = attr()
    metric: UInt | None = attr()


class LocalEnd(Element, tag="local"):
    """This host's end of a UDP tunnel."""

    address: str | None = attr()
    port: UInt | None = attr()


class InterfaceSource(Element, tag="source"):
    """What the card is plugged into.  Which attributes count depends on the card's ``type``."""

    network: str | None = attr()
    portgroup: str | None = attr()
    portid: Uuid | None = attr()
    bridge: str | None = attr()
    mac_table_manager: str | None = attr("macTableManager")
    name: str | None = attr()
    type: str | None = attr()
    address: str | None = attr()  # server, client, mcast, udp
    port: UInt | None = attr()
    path: str | None = attr()
    dev: str | None = attr()
    mode: str | None = attr()
    switchid: Uuid | None = attr()
    portgroupid: str | None = attr()
    connectionid: UInt | None = attr()
    local: LocalEnd | None = child()
    host_address: PciAddress | UsbAddress | None = child()  # type hostdev: the device handed over
    reconnect: Reconnect | None = child()
    ips: list[IpAddress] = children()
    routes: list[Route] = children()


class VlanTag(Element, tag="tag"):
    id: UInt = attr()
    native_mode: str | None = attr("nativeMode")


class Vlan(Element, tag="vlan"):
    trunk: YesNo | None = attr()
    tags: list[VlanTag] = children()


class PortParameters(Element, tag="parameters"):
    managerid: UInt | None = attr()
    typeid: UInt | None = attr()
    typeidversion: UInt | None = attr()
    instanceid: Uuid | None = attr()
    interfaceid: Uuid | None = attr()
    profileid: str | None = attr()


class VirtualPort(Element, tag="virtualport"):
    """The port profile: ``802.1Qbg``, ``802.1Qbh``, ``openvswitch`` or ``midonet``."""

    type: str | None = attr()
    parameters: PortParameters | None = child()


class Rate(Element, tag="inbound"):
    """Average, peak and floor in KiB per second, burst in KiB, as in the document."""

    average: UInt | None = attr()
    peak: UInt | None = attr()
    floor: UInt | None = attr()
    burst: UInt | None = attr()


class Bandwidth(Element, tag="bandwidth"):
    inbound: Rate | None = child()
    outbound: Rate | None = child("outbound")


class PortOptions(Element, tag="port"):
    """An isolated port reaches only ports that are not."""

    isolated: YesNo = attr()


class Script(Element, tag="script"):
    path: str = attr()


class InterfaceTarget(Element, tag="target"):
    """The device on the host's side."""

    dev: str | None = attr()
    managed: YesNo | None = attr()


class GuestSide(Element, tag="guest"):
    """The device's name inside a container."""

    dev: str | None = attr()
    actual: str | None = attr()


class PortRange(Element, tag="range"):
    start: UInt = attr()
    end: UInt | None = attr()
    to: UInt | None = attr()
    exclude: YesNo | None = attr()


class PortForward(Element, tag="portForward"):
    """Ports of the host that lead into the guest (passt)."""

    proto: str = attr()
    address: str | None = attr()
    dev: str | None = attr()
    ranges: list[PortRange] = children()


class InterfaceModel(Element, tag="model"):
    type: str = attr()


class HostOffloads(Element, tag="host"):
    csum: Switch | None = attr()
    gso: Switch | None = attr()
    tso4: Switch | None = attr()
    tso6: Switch | None = attr()
    ecn: Switch | None = attr()
    ufo: Switch | None = attr()
    mrg_rxbuf: Switch | None = attr()


class GuestOffloads(Element, tag="guest"):
    csum: Switch | None = attr()
    tso4: Switch | None = attr()
    tso6: Switch | None = attr()
    ecn: Switch | None = attr()
    ufo: Switch | None = attr()


class PassthroughDriver(Element, tag="driver"):
    """The host's driver that hands a device to the guest, such as ``vfio``."""

    name: str | None = attr()


class InterfaceDriver(Element, tag="driver"):
    """Options of a virtio card."""

    name: str | None = attr()
    txmode: str | None = attr()
    ioeventfd: Switch | None = attr()
    event_idx: Switch | None = attr()
    queues: UInt | None = attr()
    rx_queue_size: UInt | None = attr()
    tx_queue_size: UInt | None = attr()
    rss: Switch | None = attr()
    rss_hash_report: Switch | None = attr()
    iommu: Switch | None = attr()
    ats: Switch | None = attr()
    packed: Switch | None = attr()
    page_per_vq: Switch | None = attr()
    host: HostOffloads | None = child()
    guest: GuestOffloads | None = child()


class InterfaceBackend(Element, tag="backend"):
    """The helper behind the card: ``type`` is ``default`` or ``passt``."""

    type: str | None = attr()
    tap: str | None = attr()
    vhost: str | None = attr()
    log_file: str | None = attr("logFile")


class FilterParameter(Element, tag="parameter"):
    name: str = attr()
    value: str = attr()


class FilterRef(Element, tag="filterref"):
    """The network filter that guards the card."""

    filter: str = attr()
    parameters: list[FilterParameter] = children()


class Tune(Element, tag="tune"):
    sndbuf: UInt | None = leaf()


class LinkState(StrEnum):
    UP = "up"
    DOWN = "down"


class Link(Element, tag="link"):
    state: LinkState = attr()


class TeamingType(StrEnum):
    PERSISTENT = "persistent"
    TRANSIENT = "transient"


class Teaming(Element, tag="teaming"):
    """Pairs a virtio card with a passed-through one; the transient one names the alias of the other."""

    type: TeamingType = attr()
    persistent: str | None = attr()


class Mtu(Element, tag="mtu"):
    size: UInt = attr()


class Frames(Element, tag="frames"):
    max: UInt | None = attr()


class CoalesceRx(Element, tag="rx"):
    frames: Frames | None = child()


class Coalesce(Element, tag="coalesce"):
    rx: CoalesceRx | None = child()


class Interface(Device, tag="interface"):
    type: InterfaceType = attr()
    managed: YesNo | None = attr()
    trust_guest_rx_filters: YesNo | None = attr("trustGuestRxFilters")
    mac: MacAddress | None = child()
    passthrough: PassthroughDriver | None = child("driver")  # type hostdev only
    source: InterfaceSource | None = child()
    ips: list[IpAddress] = children()
    routes: list[Route] = children()
    vlan: Vlan | None = child()
    virtualport: VirtualPort | None = child()
    bandwidth: Bandwidth | None = child()
    port: PortOptions | None = child()
    script: Script | None = child()
    downscript: Script | None = child("downscript")
    backenddomain: BackendDomain | None = child()
    target: InterfaceTarget | None = child()
    guest: GuestSide | None = child()
    port_forwards: list[PortForward] = children()
    model: InterfaceModel | None = child()
    driver: InterfaceDriver | None = child()
    backend: InterfaceBackend | None = child()
    filterref: FilterRef | None = child()
    tune: Tune | None = child()
    link: Link | None = child()
    teaming: Teaming | None = child()
    mtu: Mtu | None = child()
    coalesce: Coalesce | None = child()

    def __post_init__(self) -> None:
        # One tag, two meanings, two places: libvirt writes the driver of a host device first.
        if self.type is InterfaceType.HOSTDEV:
            self.driver = None
        else:
            self.passthrough = None
