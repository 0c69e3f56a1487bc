"""The document of a guest with one device alone, so that what works on whole documents works on that device."""

from __future__ import annotations

from vmherd.conf.domain import Devices, Domain
from vmherd.conf.domain.plug.fragment import room
from vmherd.util.xmlmodel import Element


def without_devices(domain: Domain) -> Domain:
    """The machine with nothing plugged in but the controllers that devices sit on, and what rules of devices look at.

    What the firmware boots is left out: a device that comes later boots by its own word only.
    """
    devices = Devices(
        emulator=domain.devices.emulator,
        controllers=list(domain.devices.controllers),
        graphics=list(domain.devices.graphics),
        redirfilter=domain.devices.redirfilter,
    )
    os = domain.os.replace(boots=[], loader=None, nvram=None, kernel=None, initrd=None, firmware=None)
    return domain.replace(devices=devices, os=os)


def alone(domain: Domain, device: Element) -> Domain:
    """The machine with ``device``, which is in the view itself, not as a copy."""
    view = without_devices(domain)
    name = room(type(device))
    there = getattr(view.devices, name)
    if not isinstance(there, list):
        setattr(view.devices, name, device)
    elif not any(each is device for each in there):
        there.append(device)
    return view
