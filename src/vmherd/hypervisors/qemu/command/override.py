"""What the document's qemu namespace changes: properties of devices, deprecated features, words of one's own.

Source: https://libvirt.org/drvqemu.html
"""

from __future__ import annotations

import json

from msgspec.structs import replace

from vmherd.conf.domain import Domain
from vmherd.conf.domain.namespaces import DeviceProperty, PropertyType, QemuDevice
from vmherd.errors import DocumentError
from vmherd.hypervisors.qemu.capabilities import Capabilities
from vmherd.hypervisors.qemu.command.device import Properties, option
from vmherd.hypervisors.qemu.config import Config

_DEPRECATED: dict[str, Properties] = {
    "omit": {"deprecated-output": "hide"},
    "reject": {"deprecated-output": "hide", "deprecated-input": "reject"},
    "crash": {"deprecated-output": "hide", "deprecated-input": "crash"},
}


def capabilities(domain: Domain, caps: Capabilities) -> Capabilities:
    """What the binary can do, with what the document adds and takes away."""
    told = domain.qemu_capabilities
    if told is None:
        return caps
    added, deleted = {each.capability for each in told.added}, {each.capability for each in told.deleted}
    return replace(caps, flags=(caps.flags | added) - deleted)


def deprecation(domain: Domain, caps: Capabilities, config: Config) -> list[str]:
    """What QEMU does when a feature is used that it will lose; older ones cannot be told."""
    told = domain.qemu_deprecation
    policy = _DEPRECATED.get(told.behavior if told else config.deprecation)
    return option("-compat", policy) if policy and "compat-deprecated" in caps else []


def passthrough(domain: Domain) -> list[str]:
    """Words that the document hands to QEMU as they are."""
    extra = domain.qemu_commandline
    return [arg.value for arg in extra.args] if extra else []


def overridden(domain: Domain, argv: list[str]) -> list[str]:
    """The arguments, with the properties of devices as the document wants them."""
    wanted = {each.alias: each for each in domain.qemu_override.devices} if domain.qemu_override else {}
    if not wanted:
        return argv
    found: list[str] = []
    for before, word in zip(["", *argv], argv, strict=False):
        found.append(_changed(word, wanted) if before == "-device" else word)
    return found


def _changed(word: str, wanted: dict[str, QemuDevice]) -> str:
    properties = json.loads(word)
    device = wanted.get(properties.get("id"))
    for each in device.frontend.properties if device else []:
        if each.type is PropertyType.REMOVE:
            properties.pop(each.name, None)
        else:
            properties[each.name] = _value(each)
    return json.dumps(properties, separators=(",", ":"))


def _value(each: DeviceProperty) -> object:
    text = each.value or ""
    try:
        match each.type:
            case PropertyType.BOOL:
                return {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}[text]
            case PropertyType.SIGNED:
                return int(text)
            case PropertyType.UNSIGNED if int(text) >= 0:
                return int(text)
            case PropertyType.STRING:
                return text
    except (KeyError, ValueError):
        pass
    raise DocumentError(
        f"{each.value!r} is no value of type {str(each.type)!r}", place="domain/qemu:override", hint="correct the value"
    )
