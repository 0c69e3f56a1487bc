"""<launchSecurity> and <keywrap>: guests the host cannot look into.

Source: https://libvirt.org/formatdomain.html#launch-security
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.util.xmlmodel import Element, Hex4, Switch, UInt, YesNo, attr, children, leaf


class Sev(Element, tag="launchSecurity", when={"type": "sev"}):
    """AMD's memory encryption; certificate and session are base64."""

    kernel_hashes: YesNo | None = attr("kernelHashes")
    cbitpos: UInt | None = leaf()
    reduced_phys_bits: UInt | None = leaf("reducedPhysBits")
    policy: Hex4 = leaf()
    dh_cert: str | None = leaf("dhCert")
    session: str | None = leaf()


class S390Pv(Element, tag="launchSecurity", when={"type": "s390-pv"}):
    """IBM Secure Execution."""


class WrappedKey(StrEnum):
    """Which key, in libvirt's order."""

    AES = "aes"
    DEA = "dea"


class WrappingKey(Element, tag="cipher"):
    name: WrappedKey = attr()
    state: Switch = attr()


class Keywrap(Element, tag="keywrap"):
    """Which keys of an s390x guest are wrapped."""

    ciphers: list[WrappingKey] = children()
