"""The network that a host has from the beginning, as libvirt's packages bring one: ``default``, which translates.

It is defined once and not started; who removes it has decided that.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from uuid import uuid4

from vmherd.conf.network import parse_network, render_network
from vmherd.events import NetworkLifecycle
from vmherd.resources.network import collisions, names
from vmherd.resources.network.life import event
from vmherd.resources.network.records import Entry, Record, Table
from vmherd.state.store import Store

_DOCUMENT = """\
<network>
  <name>default</name>
  <forward mode='nat'/>
  <bridge name='virbr%d' stp='on' delay='0'/>
  <ip address='192.168.{number}.1' netmask='255.255.255.0'>
    <dhcp>
      <range start='192.168.{number}.2' end='192.168.{number}.254'/>
    </dhcp>
  </ip>
</network>
"""
_FIRST, _LAST = 122, 254
#: A counter of the store that remembers that this was done.
_DONE = "default network"


def define_once(store: Store, table: Table) -> None:
    """Define it in a store that never had it, with a range that the host does not reach."""
    if store.count(_DONE) > 1:
        return
    entries = table.all()
    if any(entry.name == "default" for entry in entries):
        return
    network = parse_network(document())
    network.uuid = str(uuid4())
    names.choose(network, entries)
    entry = Entry(network.uuid, "default", Record(config=render_network(network, inactive=True)))
    table.put(entry, [event(entry, NetworkLifecycle.DEFINED)])


def document() -> str:
    """With the first range from 192.168.122.0/24 on that the host has no way to."""
    reached = list(collisions.reached())
    for number in range(_FIRST, _LAST):
        wanted = IPv4Network(f"192.168.{number}.0/24")
        if not any(wanted.overlaps(each) for each in reached if each.version == 4):
            return _DOCUMENT.format(number=number)
    return _DOCUMENT.format(number=_FIRST)
