"""USB devices and their interfaces.  Source: Documentation/ABI/stable/sysfs-bus-usb of Linux."""

from __future__ import annotations

from vmherd.conf.nodedev.common import Product, Vendor
from vmherd.conf.nodedev.kinds import UsbDevice, UsbInterface
from vmherd.resources.nodedev import ids
from vmherd.resources.nodedev.sysfs import Node


def describe(node: Node) -> UsbDevice | UsbInterface | None:
    return _interface(node) if ":" in node.name else _device(node)


def _device(node: Node) -> UsbDevice | None:
    bus, device = node.number("busnum"), node.number("devnum")
    vendor, product = node.number("idVendor", 16), node.number("idProduct", 16)
    if bus is None or device is None or vendor is None or product is None:
        return None
    listed = ids.names("usb.ids", vendor, product)
    maker = node.known("ID_VENDOR_FROM_DATABASE") or node.text("manufacturer") or listed.vendor
    model = node.known("ID_MODEL_FROM_DATABASE") or node.text("product") or listed.product
    return UsbDevice(
        bus=bus, device=device, product=Product(id=product, name=model), vendor=Vendor(id=vendor, name=maker)
    )


def _interface(node: Node) -> UsbInterface | None:
    wanted = ("bInterfaceNumber", "bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol")
    numbers = [node.number(name, 16) for name in wanted]
    if None in numbers:
        return None
    number, class_code, subclass, protocol = (each or 0 for each in numbers)
    return UsbInterface(number=number, class_code=class_code, subclass=subclass, protocol=protocol)
