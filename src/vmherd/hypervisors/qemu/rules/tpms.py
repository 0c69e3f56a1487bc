"""TPMs: which model is for which machine and which version, and what this binary has.

Source: qemuValidateDomainDeviceDefTPM and qemuValidateDomainDefTPMs of libvirt
"""

from __future__ import annotations

from collections.abc import Iterator

from vmherd.conf.domain import Domain, Problem
from vmherd.conf.domain.chardev import SocketMode
from vmherd.conf.domain.problem import duplicates, numbered
from vmherd.conf.domain.tpm import EmulatorTpm, ExternalTpm, PassthroughTpm, Tpm, TpmModel, TpmVersion
from vmherd.hypervisors.qemu import machine
from vmherd.hypervisors.qemu.capabilities import Capabilities

_PLACE = "domain/devices/tpm"
_PROXY = TpmModel.SPAPR_PROXY


def models(domain: Domain) -> Iterator[Problem]:
    """A machine has one TPM; pSeries may have a proxy beside it."""
    kinds = [(f"{_PLACE}[{number}]", each.model is _PROXY) for number, each in numbered(domain.devices.tpms)]
    yield from duplicates(kinds, "{} of the same kind is there already", "remove one", lambda _: "a TPM")
    for number, each in numbered(domain.devices.tpms):
        place = f"{_PLACE}[{number}]"
        if (each.model in (TpmModel.SPAPR, _PROXY)) and not machine.is_pseries(domain):
            yield Problem(f"{place}/@model", f"only pSeries machines have a {each.model}", "use model='tpm-crb'")
        if each.model is _PROXY and not isinstance(each.backend, PassthroughTpm):
            yield Problem(f"{place}/backend/@type", "a proxy leads to the host's TPM", "use type='passthrough'")
        yield from _version(domain, each, place)
        yield from _socket(each, place)


def _version(domain: Domain, each: Tpm, place: str) -> Iterator[Problem]:
    backend = each.backend
    if not isinstance(backend, EmulatorTpm):
        return
    if backend.version is TpmVersion.V1_2 and not (each.model is TpmModel.TIS and machine.is_x86(domain)):
        yield Problem(f"{place}/backend/@version", f"{each.model} is a TPM 2.0 here", "use version='2.0'")
    if backend.version is TpmVersion.V1_2 and backend.active_pcr_banks:
        text = "PCR banks are chosen of a TPM 2.0 only"
        yield Problem(f"{place}/backend/active_pcr_banks", text, "remove them, or use version='2.0'")


def _socket(each: Tpm, place: str) -> Iterator[Problem]:
    source = each.backend.source if isinstance(each.backend, ExternalTpm) else None
    if source is None:
        return
    if source.type not in (None, "unix"):
        yield Problem(f"{place}/backend/source/@type", "swtpm is reached over a UNIX socket", "use type='unix'")
    if source.mode is SocketMode.BIND:
        yield Problem(f"{place}/backend/source/@mode", "swtpm listens, QEMU connects", "use mode='connect'")


def known(domain: Domain, caps: Capabilities) -> Iterator[Problem]:
    """Models and backends that this binary has."""
    for number, each in numbered(domain.devices.tpms):
        place = f"{_PLACE}[{number}]"
        model = "tpm-tis-device" if each.model is TpmModel.TIS and not machine.is_x86(domain) else str(each.model)
        if caps.flags and model not in caps:
            yield Problem(f"{place}/@model", f"{caps.binary} has no {model}", "use model='tpm-crb' or 'tpm-tis'")
        backend = "tpm-passthrough" if isinstance(each.backend, PassthroughTpm) else "tpm-emulator"
        if caps.flags and each.model is not _PROXY and backend not in caps:
            yield Problem(f"{place}/backend/@type", f"{caps.binary} has no {backend}", "remove the TPM")


RULES = (models,)
OF_BINARY = (known,)
