"""A device that is plugged in while a guest runs is made of the same words as one that is there from the start."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path

import msgspec
import pytest
from test_qemu_command import CASES, DATA, prepared

from vmherd.conf.domain.address import Device
from vmherd.conf.domain.domain import devices_of
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command import build, override
from vmherd.hypervisors.qemu.hotplug.families import family, is_plugged
from vmherd.hypervisors.qemu.hotplug.orders import orders
from vmherd.hypervisors.qemu.hotplug.view import alone

CAPS = msgspec.json.decode((DATA / "capabilities-7.2.json").read_bytes(), type=Capabilities)

#: What another number is as good for: of nodes, of sets of descriptors, of descriptors.
_NUMBERS = (
    (r"libvirt-\d+", "libvirt-N"),
    (r"set=\d+,fd=\d+", "set=N,fd=N"),
    (r"fdset/\d+", "fdset/N"),
    (r'"(vhost)?fds?":"[\d:]+"', '"fd":"N"'),
    (r',"bootindex":\d+', ""),  # a device that comes later boots by its own word only
)


def words(argv: list[str]) -> Counter[tuple[str, str]]:
    """Pairs of option and value, whatever the numbers."""
    found: Counter[tuple[str, str]] = Counter()
    for option, value in pairwise(argv):
        if not option.startswith("-"):
            continue
        for pattern, better in _NUMBERS:
            value = re.sub(pattern, better, value)
        found[option, value] += 1
    return found


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_each_device_alone_is_what_it_is_among_others(path: Path) -> None:
    domain, launch = prepared(path.read_text(), CAPS)
    caps = override.capabilities(domain, CAPS)
    whole = words(build(domain, caps, launch))
    for device in devices_of(domain.devices):
        if not is_plugged(device) or getattr(device, "transient", None):
            continue
        launch = replace(launch, fdsets=count(), first_node=50, first_fdset=30)
        argv = family(device, "attach").arguments(alone(domain, device), device, caps, launch)
        lacking = words(argv) - whole
        assert not lacking or domain.qemu_override, lacking
        check_orders(device, argv)


def check_orders(device: Device, argv: list[str]) -> None:
    """The monitor takes all of it, and the device by its name comes last."""
    assert device.alias
    made = list(orders(argv, [], device.alias.name))
    assert made[-1].command in ("device_add", "watchdog-set-action")
    assert made[-1].arguments.get("id") == device.alias.name or device.alias.name == "watchdog0"
    assert {order.command for order in made if order.undo is None} <= {"watchdog-set-action", "add-fd"}
