"""What there is: the devices of sysfs, together with the mediated ones that are only defined."""

from __future__ import annotations

import msgspec

from vmherd.conf.nodedev import Device
from vmherd.conf.nodedev.common import IommuGroup
from vmherd.conf.nodedev.kinds import Mdev
from vmherd.driver.nodedev import DeviceInfo
from vmherd.errors import NodeDeviceNotFound
from vmherd.resources.nodedev.mdevs import Definition, Mdevs
from vmherd.resources.nodedev.sysfs import Sysfs
from vmherd.resources.nodedev.tree import ROOT, Found, Tree, plain, scan


class View(msgspec.Struct):
    """``defined`` are the definitions by the names of their devices."""

    tree: Tree
    defined: dict[str, Definition]

    def infos(self) -> list[DeviceInfo]:
        return sorted((found.info for found in self.tree.devices.values()), key=lambda info: info.name)

    def get(self, name: str) -> Found:
        """Raises NodeDeviceNotFound."""
        try:
            return self.tree.devices[name]
        except KeyError:
            raise NodeDeviceNotFound(name) from None

    def in_sysfs(self, name: str) -> str:
        """What sysfs calls the device that a document names as parent; raises NodeDeviceNotFound."""
        path = self.get(name).path
        if path is None:
            raise NodeDeviceNotFound(name)
        return path.name


def look_around(sysfs: Sysfs, mdevs: Mdevs) -> View:
    """Look at everything; call it in a thread."""
    tree = scan(sysfs)
    by_name = {path.name: name for path, name in tree.places.items()}
    defined = {}
    for definition in mdevs.defined():
        name = name_of(definition)
        defined[name] = definition
        if found := tree.devices.get(name):
            found.info = msgspec.structs.replace(found.info, persistent=True, autostart=definition.autostart)
            assert isinstance(found.device.capability, Mdev)  # its name is that of a mediated device
        else:
            tree.devices[name] = _inactive(definition, name, by_name.get(definition.parent, ROOT))
    return View(tree, defined)


def name_of(definition: Definition) -> str:
    return plain(f"mdev_{definition.uuid}_{definition.parent}")


def _inactive(definition: Definition, name: str, parent: str) -> Found:
    info = DeviceInfo(
        name=name,
        parent=parent,
        capabilities=("mdev",),
        active=False,
        persistent=True,
        autostart=definition.autostart,
    )
    return Found(info, as_defined(definition, name, parent))


def as_defined(definition: Definition, name: str, parent: str) -> Device:
    """The document of a definition."""
    capability = definition.capability
    capability.iommu_group = IommuGroup(number=0)
    return Device(name=name, parent=parent, capability=capability)
