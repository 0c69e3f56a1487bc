"""bhyve's documents and command lines, on the made-up hosts of conformance cases."""

from __future__ import annotations

from pathlib import Path, PurePath

from vmherd.conf.domain import Domain, parse_domain
from vmherd.conf.domain.conformance import written
from vmherd.conf.domain.net import MacAddress
from vmherd.conformance import Case, Result
from vmherd.hypervisors.bhyve import command, complete, firmware, native, validate
from vmherd.hypervisors.bhyve.capabilities import Capabilities

_NO_LOADER = ["dummy"]  # what a case says for a guest that boots UEFI


def documents(case: Case) -> str:
    """A domain document completed and checked by the driver."""
    return written(_accepted(case, _capabilities(case)), case)


def arguments(case: Case) -> Result:
    """The command of a guest that starts, with that of its loader and GRUB's device map."""
    caps = _capabilities(case)
    domain = _accepted(case, caps)
    firmware.choose(domain, Path(case.host["firmware_dir"]), case.host["firmware_files"])
    validate.check_startable(domain, caps)
    command.choose_ports(domain, case.host["vnc_port_range"][0])
    launch = command.Launch(tap=lambda _: str(case.host["tap_device"]), device_map=case.host["device_map_path"])
    found = command.build(domain, caps, launch)
    aux: dict[str, object] = {"ldargs": _without_folder(found.loader) if found.loader else _NO_LOADER}
    if found.device_map is not None:
        aux["devmap"] = found.device_map
    return Result(_without_folder(found.bhyve), aux)


def command_lines(case: Case) -> str:
    """The document that stands for bhyve's command lines."""
    domain = native.read(case.input).domain
    domain.uuid = domain.uuid or case.host["uuid_generate"]
    _give_addresses(domain, case)
    return written(domain, case)


def _without_folder(words: list[str]) -> list[str]:
    return [PurePath(words[0]).name, *words[1:]]


def _accepted(case: Case, caps: Capabilities) -> Domain:
    domain = parse_domain(case.input)
    _give_addresses(domain, case)
    complete.complete(domain, caps, arch=case.host["arch"])
    validate.check(domain)
    return domain


def _give_addresses(domain: Domain, case: Case) -> None:
    for interface in domain.devices.interfaces:
        interface.mac = interface.mac or MacAddress(address=case.host["mac_generate"])


def _capabilities(case: Case) -> Capabilities:
    return Capabilities(bhyve=frozenset(case.host["bhyve_caps"]), grub=frozenset(case.host.get("grub_caps", [])))
