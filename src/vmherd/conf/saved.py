"""<cookie>: what a saved guest needs to run on that its definition has no place for.

It stands in a snapshot, and behind the definition in a save image.
Source: src/qemu/qemu_domain.c, qemuDomainSaveCookieFormat, of libvirt
"""

from __future__ import annotations

from vmherd.conf.domain.cpu import Cpu
from vmherd.util.xmlmodel import Element, child, flag


class SaveCookie(Element, tag="cookie"):
    cpu: Cpu | None = child()  # as the guest saw it, which may be more than its definition asked for
    slirp_helper: bool = flag("slirpHelper")  # user-mode networks ran in a process of their own
