"""<tpm>: the guest's trusted platform module.

Source: https://libvirt.org/formatdomain.html#tpm-device
"""

from __future__ import annotations

from enum import StrEnum

from vmherd.conf.domain.address import Device
from vmherd.conf.domain.chardev import ChardevSource
from vmherd.util.xmlmodel import Element, UInt, Uuid, YesNo, attr, child, flag


class TpmModel(StrEnum):
    TIS = "tpm-tis"
    CRB = "tpm-crb"
    SPAPR = "tpm-spapr"
    SPAPR_PROXY = "spapr-tpm-proxy"


class TpmVersion(StrEnum):
    V1_2 = "1.2"
    V2_0 = "2.0"


class TpmDevicePath(Element, tag="device"):
    path: str = attr()


class PassthroughTpm(Element, tag="backend", when={"type": "passthrough"}):
    device: TpmDevicePath | None = child()


class TpmSecret(Element, tag="encryption"):
    """The secret that encrypts the TPM's state on disk."""

    secret: Uuid = attr()


class PcrBanks(Element, tag="active_pcr_banks"):
    sha1: bool = flag()
    sha256: bool = flag()
    sha384: bool = flag()
    sha512: bool = flag()


class EmulatorTpm(Element, tag="backend", when={"type": "emulator"}):
    """A TPM emulated by swtpm."""

    version: TpmVersion | None = attr()
    persistent_state: YesNo | None = attr()
    debug: UInt | None = attr()
    encryption: TpmSecret | None = child()
    active_pcr_banks: PcrBanks | None = child()


class ExternalTpm(Element, tag="backend", when={"type": "external"}):
    """A swtpm that somebody else runs, reached over a socket."""

    source: ChardevSource | None = child()


class Tpm(Device, tag="tpm"):
    model: TpmModel | None = attr()
    backend: PassthroughTpm | EmulatorTpm | ExternalTpm = child()
