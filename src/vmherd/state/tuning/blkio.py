"""<blkiotune> as parameters by name: those of devices are texts, "path,value,path,value".

Source: virDomainParseBlkioDeviceStr and virDomainGetBlkioParametersAssignFromDef of libvirt.
"""

from __future__ import annotations

from vmherd.conf.domain import Domain
from vmherd.conf.domain.memory import BlkioDevice, BlkioTune
from vmherd.driver.params import Params
from vmherd.errors import InvalidArgument

#: The parameters of devices, in libvirt's order, and the largest value of each.
DEVICE = {
    "weight": (1 << 32) - 1,
    "read_iops_sec": (1 << 32) - 1,
    "write_iops_sec": (1 << 32) - 1,
    "read_bytes_sec": (1 << 64) - 1,
    "write_bytes_sec": (1 << 64) - 1,
}


def told(domain: Domain) -> Params:
    """A weight of 0 is not set; devices without a limit are left out of it."""
    tune = domain.blkiotune or BlkioTune()
    params: Params = {"weight": tune.weight or 0}
    for name in DEVICE:
        limits = [(each.path, getattr(each, name)) for each in tune.devices if getattr(each, name)]
        params[f"device_{name}"] = ",".join(f"{path},{value}" for path, value in limits)
    return params


def change(domain: Domain, params: Params) -> None:
    """Set what is told; a device's limit of 0 ends it, and a device without any is forgotten."""
    tune = domain.blkiotune or BlkioTune()
    if "weight" in params:
        tune.weight = int(params["weight"]) or None
    devices = {each.path: each for each in tune.devices}
    for name in DEVICE:
        for path, value in limits(params, name):
            device = devices.setdefault(path, BlkioDevice(path=path))
            setattr(device, name, value or None)
    tune.devices = [each for each in devices.values() if each != BlkioDevice(path=each.path)]
    domain.blkiotune = tune if tune != BlkioTune() else None


def limits(params: Params, name: str) -> list[tuple[str, int]]:
    """What parameters say of one limit of devices; InvalidArgument for what is no such text."""
    text = str(params.get(f"device_{name}", ""))
    words = text.split(",") if text else []
    if len(words) % 2 or not all(path.startswith("/") for path in words[::2]):
        raise InvalidArgument(f"unable to parse blkio device 'device_{name}' '{text}'", hint="write path,value")
    return [(path, _value(name, path, word)) for path, word in zip(words[::2], words[1::2], strict=True)]


def _value(name: str, path: str, word: str) -> int:
    value = int(word) if word.isascii() and word.isdigit() else -1
    if not 0 <= value <= DEVICE[name]:
        raise InvalidArgument(f"invalid value '{word}' for parameter 'device_{name}' of device '{path}'")
    return value
