"""The guest's TPM: a device of the host, a swtpm of the guest's own, or a swtpm that somebody else runs."""

from __future__ import annotations

from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.tpm import EmulatorTpm, ExternalTpm, PassthroughTpm, Tpm, TpmModel
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.command.device import Properties, alias, bus, device, escape
from vmherd.hypervisors.qemu.command.launch import Launch


def arguments(domain: Domain, launch: Launch) -> list[str]:
    """Every TPM."""
    args: list[str] = []
    for tpm in domain.devices.tpms:
        if tpm.model is TpmModel.SPAPR_PROXY:
            args += device(_proxy(domain, tpm))
        else:
            args += _backend(tpm, launch) + device(_front(domain, tpm))
    return args


def device_path(tpm: Tpm) -> str:
    """The TPM of the host that is handed over."""
    backend = tpm.backend
    return backend.device.path if isinstance(backend, PassthroughTpm) and backend.device else "/dev/tpm0"


def _proxy(domain: Domain, tpm: Tpm) -> Properties:
    """Ultravisor calls that go straight to the host's TPM."""
    end = {"driver": "spapr-tpm-proxy", "id": alias(tpm), "host-path": device_path(tpm)}
    return {**end, **bus(tpm, domain)}


def _front(domain: Domain, tpm: Tpm) -> Properties:
    model = str(tpm.model)
    if domain.os.type.arch == "aarch64" and tpm.model is TpmModel.TIS:
        model = "tpm-tis-device"  # there is no ISA bus for the other one
    return {"driver": model, "tpmdev": f"tpm-{alias(tpm)}", "id": alias(tpm), **bus(tpm, domain)}


def _backend(tpm: Tpm, launch: Launch) -> list[str]:
    name = f"tpm-{alias(tpm)}"
    if isinstance(tpm.backend, PassthroughTpm):
        return _passthrough(name, tpm, launch)
    socket = ["-chardev", f"socket,id=chrtpm,path={escape(launch.reach(_socket(tpm, launch)))}"]
    return [*socket, "-tpmdev", f"emulator,id={name},chardev=chrtpm"]


def _passthrough(name: str, tpm: Tpm, launch: Launch) -> list[str]:
    path = Path(device_path(tpm))
    device_set, cancel_set = next(launch.fdsets), next(launch.fdsets)
    return [
        "-add-fd",
        f"set={device_set},fd={launch.opener.tpm(path)},opaque={alias(tpm)}-tpm",
        "-add-fd",
        f"set={cancel_set},fd={launch.opener.tpm_cancel(path)},opaque={alias(tpm)}-cancel",
        "-tpmdev",
        f"passthrough,id={name},path=/dev/fdset/{device_set},cancel-path=/dev/fdset/{cancel_set}",
    ]


def _socket(tpm: Tpm, launch: Launch) -> Path:
    if isinstance(tpm.backend, EmulatorTpm) and launch.tpm_socket:
        return launch.tpm_socket
    if isinstance(tpm.backend, ExternalTpm) and tpm.backend.source and tpm.backend.source.path:
        return Path(tpm.backend.source.path)
    raise Unsupported(
        "the socket of the TPM is missing", place="domain/devices/tpm/backend", hint="add <source type='unix' path=''/>"
    )
