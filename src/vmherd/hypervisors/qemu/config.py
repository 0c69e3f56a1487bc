"""What the administrator of a host decides for all guests of the QEMU driver: addresses, TLS, SASL, sound.

The file is ``qemu.toml``, in /etc/vmherd for qemu:///system, in the user's configuration folder for qemu:///session and
in the root of an embedded driver.  Each setting has a default; most are those of libvirt's qemu.conf.

    [vnc]
    listen = "0.0.0.0"
    tls = true
    tls_folder = "/etc/pki/qemu"
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from vmherd.errors import HostError

Controller = Literal["cpu", "cpuacct", "cpuset", "memory", "blkio", "devices"]
#: The devices that every guest has.  Source: defaultDeviceACL of libvirt
EVERYBODY = ("/dev/null", "/dev/full", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/ptmx", "/dev/kvm")

ImageFormat = Literal["raw", "gzip", "bzip2", "xz", "lzop", "zstd"]


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Encryption of a service.

    ``tls_folder`` has ca-cert.pem, server-cert.pem and server-key.pem; with ``tls_verify`` clients must show a
    certificate of their own.  ``tls_secret`` is the UUID of the secret that opens the key.
    """

    tls: bool = False
    tls_folder: str = "/etc/pki/qemu"
    tls_verify: bool = True
    tls_secret: str = ""


class Display(Tls, frozen=True, kw_only=True):
    """A kind of display.

    ``auto_socket`` has displays without an address listen on a UNIX socket in the guest's own folder.  ``sasl_folder``
    holds the configuration of SASL.  ``password`` is for guests that name none.  ``host_audio`` lets guests with this
    display play on the host, by the backend that QEMU_AUDIO_DRV names.
    """

    listen: str = "127.0.0.1"
    auto_socket: bool = False
    sasl: bool = False
    sasl_folder: str = ""
    password: str | None = None
    host_audio: bool = False


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``chardev`` is for character devices on TCP.

    ``host_audio`` lets guests without a display play on the host.  ``audio_driver`` and ``sdl_audio_driver`` are the
    daemon's QEMU_AUDIO_DRV and SDL_AUDIODRIVER.  ``deprecation`` is what QEMU does when a deprecated feature is used.
    ``channels`` and ``guests`` are folders below which sockets of channels and displays have been generated; documents
    do not keep those.  ``save_image_format`` and ``dump_image_format`` are how saved guests and dumps are compressed:
    raw, gzip, bzip2, xz, lzop or zstd.  ``namespaces`` are those that each guest of qemu:///system has of its own:
    "mount" gives it a /dev with nothing but its own devices; where nothing is told it has one if the host allows it.
    ``cgroup_device_acl`` are the devices that every guest has, ``cgroup_controllers`` what control groups are used for.

    ``security_driver`` is what the kernel enforces on guests: "selinux", "apparmor", or "auto" for what the host has.
    QEMU runs as ``user`` and ``group`` (names, or numbers after a "+"); by default as vmherd-qemu if there is such a
    user, else as root.  ``clear_emulator_capabilities`` takes from it every right of root's, which a user that is not
    root never has.  ``dynamic_ownership`` lets the files of a guest belong to that user while it runs;
    ``remember_owner`` puts back whom they belonged to.  ``security_default_confined`` is whether this goes for guests
    whose document says nothing, ``security_require_confined`` refuses all others.  ``seccomp_sandbox`` filters QEMU's
    system calls.  ``max_processes``, ``max_files`` and ``max_core`` (bytes) are limits of QEMU; 0 is the host's.
    """

    vnc: Display = Display()
    spice: Display = Display()
    chardev: Tls = Tls()
    host_audio: bool = False
    audio_driver: str = ""
    sdl_audio_driver: str = ""
    deprecation: str = "none"
    channels: str = "/var/lib/libvirt/qemu/channel/target"
    guests: str = "/var/lib/libvirt/qemu"
    save_image_format: ImageFormat = "raw"
    dump_image_format: ImageFormat = "raw"
    namespaces: tuple[Literal["mount"], ...] | None = None
    cgroup_device_acl: tuple[str, ...] = EVERYBODY
    cgroup_controllers: tuple[Controller, ...] = ("cpu", "cpuacct", "cpuset", "memory", "blkio", "devices")
    security_driver: Literal["none", "auto", "selinux", "apparmor"] = "none"
    user: str = ""
    group: str = ""
    clear_emulator_capabilities: bool | None = None
    dynamic_ownership: bool = True
    remember_owner: bool = True
    security_default_confined: bool = True
    security_require_confined: bool = False
    seccomp_sandbox: bool = True
    max_processes: int = 0
    max_files: int = 0
    max_core: int = 0


#: What holds where nobody decided anything.
DEFAULTS = Config()


def load_config(path: Path) -> Config:
    """The settings of ``path``, or the defaults where it is missing.  Raises HostError for a file that is wrong."""
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=Config)
    except FileNotFoundError:
        found = DEFAULTS
    except OSError as problem:
        raise HostError(f"cannot read {path}: {problem.strerror}") from problem
    except msgspec.DecodeError as problem:
        raise HostError(
            f"{path}: {problem}", hint="the settings are described in the reference of the driver"
        ) from None
    ours = {"audio_driver": "QEMU_AUDIO_DRV", "sdl_audio_driver": "SDL_AUDIODRIVER"}
    told = {name: os.environ.get(variable, "") for name, variable in ours.items() if not getattr(found, name)}
    return msgspec.structs.replace(found, **told)
