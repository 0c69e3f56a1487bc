"""A software TPM for a guest: a swtpm process that ends with its QEMU, and whose state stays with the definition.

Source: swtpm(8), swtpm_setup(8)
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from vmherd.conf.domain import Domain, parse_domain
from vmherd.conf.domain.storage import Secret
from vmherd.conf.domain.tpm import EmulatorTpm, PcrBanks, TpmVersion
from vmherd.errors import HostError, Unsupported
from vmherd.hypervisors.qemu import helpers
from vmherd.hypervisors.qemu.command.launch import Launch
from vmherd.util.command import run
from vmherd.util.sockets import listen_unix

_HINT = "apt install swtpm swtpm-tools"
#: Seconds for the keys of a TPM; what is spoilt keeps swtpm_setup waiting for ever.
_PATIENCE = 30.0
#: What swtpm encrypts with (libvirt's choice, too); the key is made of the passphrase.
_CIPHER = "aes-256-cbc"
_BANKS = ("sha1", "sha256", "sha384", "sha512")


def emulator(domain: Domain) -> EmulatorTpm | None:
    """The backend of the guest's TPM if it is emulated."""
    return next((tpm.backend for tpm in domain.devices.tpms if isinstance(tpm.backend, EmulatorTpm)), None)


async def start(domain: Domain, launch: Launch, state: Path, log: int) -> None:
    """Run the emulated TPM of a guest, whose state is in the folder ``state``; it listens at once.

    It ends when QEMU lets go of the socket.  Raises HostError, Unsupported.
    """
    backend = emulator(domain)
    if backend is None:
        return
    program = shutil.which("swtpm")
    if program is None or launch.tpm_socket is None:
        raise HostError("swtpm is not installed, which an emulated TPM needs", hint=_HINT)
    require(domain, await _versions(program))
    word = launch.vault.find(Secret(uuid=backend.encryption.secret)) if backend.encryption else b""
    if _make_folder(state):
        await _manufacture(backend, state, word)
    elif banks := _names(backend.active_pcr_banks):
        await _set_up(state, word, "--reconfigure", "--pcr-banks", ",".join(banks), *_version(backend))
    with ExitStack() as ours:
        server = ours.enter_context(listen_unix(launch.tpm_socket))
        control = f"type=unixio,fd={server.fileno()}"
        words = ["--ctrl", control, "--tpmstate", f"dir={state},mode=0600", "--terminate", *_version(backend)]
        fds = [server.fileno()]
        if backend.debug:
            words += ["--log", f"fd={log},level={backend.debug}"]
            fds.append(log)
        # One for what stays here, and one for what would move with the guest.
        for option in ("--key", "--migration-key") if word else ():
            fds.append(ours.enter_context(_readable(word)))
            words += [option, f"pwdfd={fds[-1]},mode={_CIPHER}"]
        helpers.start([program, "socket", *words], "swtpm", launch.folder, log=log, fds=fds)


def require(domain: Domain, versions: Collection[str]) -> None:
    """Raise Unsupported for a TPM of a version that swtpm does not emulate."""
    backend = emulator(domain)
    if backend and backend.version not in versions:
        told = ", ".join(sorted(versions)) or "none"
        text = f"swtpm of this host does not emulate a TPM {backend.version}"
        raise Unsupported(text, place="domain/devices/tpm/backend/@version", hint=f"it emulates: {told}")


async def _versions(program: str) -> list[str]:
    """What swtpm says that it emulates."""
    told = msgspec.json.decode(await run([program, "socket", "--print-capabilities"]), type=_Told)
    return [feature.removeprefix("tpm-") for feature in told.features]


class _Told(msgspec.Struct):
    features: list[str]


def _make_folder(state: Path) -> bool:
    """Whether the TPM is new."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    return not any(state.iterdir())


def forget(xml: str, state: Path) -> None:
    """Remove the state of a guest that nobody has defined any more, unless its document wants it kept."""
    backend = emulator(parse_domain(xml)) if xml else None
    if backend is None or not backend.persistent_state:
        shutil.rmtree(state, ignore_errors=True)


def _version(backend: EmulatorTpm) -> list[str]:
    return ["--tpm2"] if backend.version is TpmVersion.V2_0 else []


async def _manufacture(backend: EmulatorTpm, state: Path, word: bytes) -> None:
    """The keys a TPM gets in its factory; without swtpm_setup it comes without."""
    banks = _names(backend.active_pcr_banks)
    if not shutil.which("swtpm_setup") and not banks:
        return
    try:
        chosen = ["--pcr-banks", ",".join(banks)] if banks else []
        await _set_up(state, word, "--createek", "--lock-nvram", *chosen, *_version(backend))
    except BaseException:
        shutil.rmtree(state)  # half a TPM is none
        raise


async def _set_up(state: Path, word: bytes, *words: str) -> None:
    """Write the state of a TPM, encrypted where there is a passphrase."""
    argv = ["swtpm_setup", "--tpmstate", str(state), *words]
    if not word:
        await run(argv, package="swtpm-tools", patience=_PATIENCE)
        return
    with _readable(word) as fd:
        await run(
            [*argv, "--pwdfile-fd", str(fd), "--cipher", _CIPHER], package="swtpm-tools", patience=_PATIENCE, fds=[fd]
        )


@contextmanager
def _readable(word: bytes) -> Iterator[int]:
    """A descriptor that a passphrase can be read from once, by a program that inherits it."""
    fd = os.memfd_create("passphrase", os.MFD_CLOEXEC)
    try:
        os.write(fd, word)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def _names(banks: PcrBanks | None) -> list[str]:
    return [name for name in _BANKS if banks and getattr(banks, name)]
