"""<capabilities>: what a host is and which guests it can run.

Source: https://libvirt.org/formatcaps.html
"""

from __future__ import annotations

from vmherd.util.xmlmodel import Element, UInt, Uuid, attr, child, children, leaf, text


class HostCpu(Element, tag="cpu"):
    arch: str = leaf()


class Host(Element, tag="host"):
    uuid: Uuid | None = leaf()
    cpu: HostCpu = child()


class Machine(Element, tag="machine"):
    """A machine type; ``canonical`` is the name it stands for, where it is an alias."""

    canonical: str | None = attr()
    max_cpus: UInt | None = attr("maxCpus")
    deprecated: str | None = attr()
    name: str = text()


class GuestDomain(Element, tag="domain"):
    """A way to run guests: ``kvm``, ``qemu``, ...; the first listed is the best."""

    type: str = attr()


class GuestArch(Element, tag="arch"):
    name: str = attr()
    wordsize: UInt = leaf()
    emulator: str | None = leaf()
    machines: list[Machine] = children()
    domains: list[GuestDomain] = children()


class Guest(Element, tag="guest"):
    os_type: str = leaf()
    arch: GuestArch = child()


class HostCapabilities(Element, tag="capabilities"):
    host: Host = child()
    guests: list[Guest] = children()
