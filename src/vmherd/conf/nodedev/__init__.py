"""Devices of the host: what they are, and where in its tree.

device = parse_device(text)
render(device)
"""

from vmherd.conf.nodedev.device import Device, parse_device
from vmherd.util.xmlmodel import render

__all__ = ["Device", "parse_device", "render"]
