"""Which firmware a guest boots with, where its document asks for a kind and names no file.

Builds of firmware come with descriptors: JSON files that tell for which machines a build is made and what it can do.
Their order is that of their names; a file in a folder of the administrator hides one of the same name in a folder of
the distribution, and hides it for good when empty.

Source: docs/interop/firmware.json of QEMU; qemuFirmwareFillDomain of libvirt
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from vmherd.conf.domain import Domain
from vmherd.conf.domain.features import Features, Smm
from vmherd.conf.domain.launch import Sev
from vmherd.conf.domain.os import Firmware, Loader, LoaderType, Nvram
from vmherd.errors import HostError
from vmherd.util.files import on_host, write_atomically

#: Later ones override earlier ones; a user's own come last.
FOLDERS = (Path("/usr/share/qemu/firmware"), Path("/etc/qemu/firmware"))
#: Bytes of the largest descriptor that is read.
_LIMIT = 1 << 20
#: Bytes of a flash chip: those of ARM machines are padded to 64 MiB.
_LARGEST_VARIABLES = 64 << 20
#: The bit of a SEV policy that asks for encrypted registers, too.  Source: AMD SEV API, guest policy
_SEV_ES = 1 << 2
_HINT = "see what there is in /usr/share/qemu/firmware; Debian's UEFI is in the packages ovmf and qemu-efi-aarch64"


class Image(msgspec.Struct, frozen=True):
    filename: str
    format: str = "raw"


class Flash(msgspec.Struct, frozen=True, tag_field="device", tag="flash", rename="kebab"):
    """Code in a flash chip; its variables in another ("split"), in the same ("combined"), or none ("stateless")."""

    executable: Image
    mode: str = "split"
    nvram_template: Image | None = None


class Kernel(msgspec.Struct, frozen=True, tag_field="device", tag="kernel"):
    """Loaded as a kernel is."""

    filename: str


class Memory(msgspec.Struct, frozen=True, tag_field="device", tag="memory"):
    """Mapped into memory as a ROM."""

    filename: str


class Target(msgspec.Struct, frozen=True):
    """A board it runs on; ``machines`` are glob patterns of full names."""

    architecture: str
    machines: list[str]


class Descriptor(msgspec.Struct, frozen=True, rename="kebab"):
    """One build of firmware."""

    interface_types: list[str]
    mapping: Flash | Kernel | Memory
    targets: list[Target]
    features: list[str] = []


def installed(folders: Iterable[Path] = FOLDERS) -> list[Descriptor]:
    """The descriptors of this host, first choice first.  Raises HostError for one that cannot be read."""
    with on_host("read the firmware descriptors"):
        files = {path.name: path for folder in folders for path in sorted(folder.glob("*.json"))}
        return read((str(path), _text(path)) for _, path in sorted(files.items()))


def _text(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LIMIT)


def read(texts: Iterable[tuple[str, str | bytes]]) -> list[Descriptor]:
    """Descriptors from pairs of name and content; empty ones stand for nothing.  Raises HostError."""
    found = []
    for name, text in texts:
        if not text.strip():
            continue
        try:
            found.append(msgspec.json.decode(text, type=Descriptor))
        except msgspec.DecodeError as problem:
            raise HostError(f"{name}: no firmware descriptor: {problem}", hint="correct it, or empty it") from None
    return found


def choose(domain: Domain, descriptors: Iterable[Descriptor], folder: Path) -> None:
    """Name the firmware that ``<os firmware='...'>`` asks for, in place: loader, variables, system management mode.

    Variables get a file in ``folder``.  Raises HostError if no build will do.
    """
    if domain.os.firmware is None:
        return
    build = next((each for each in descriptors if _fits(each, domain)), None)
    if build is None:
        raise HostError(f"no {domain.os.firmware} firmware of this host is what the guest asks for", hint=_HINT)
    _use(build, domain)
    name_variables(domain, folder)


def prepare(domain: Domain, folder: Path, *, reset: bool = False) -> Path | None:
    """Choose this host's firmware for a guest that starts, in place, and make its file of variables.

    ``reset`` makes it anew.  Returns the file if it was not there before.  Raises HostError.
    """
    if domain.os.firmware is None and domain.os.nvram is None:
        return None
    descriptors = installed()
    choose(domain, descriptors, folder)
    nvram = domain.os.nvram
    known = isinstance(nvram, Nvram) and Path(nvram.path).exists()
    if not isinstance(nvram, Nvram) or (known and not reset):
        return None
    with on_host(f"make the variables of {domain.name!r}"):
        source = Path(_template(domain, descriptors))
        if source.stat().st_size > _LARGEST_VARIABLES:
            raise HostError(f"{source} is too large for variables of UEFI", hint="name another <nvram template='...'>")
        write_atomically(Path(nvram.path), source.read_bytes(), durable=True)
    return None if known else Path(nvram.path)


def _template(domain: Domain, descriptors: Iterable[Descriptor]) -> str:
    """The file that the guest's variables begin as: the document's, or that which belongs to its loader."""
    nvram, loader = domain.os.nvram, domain.os.loader
    assert nvram is not None  # the caller has looked
    assert loader is not None  # the document was checked
    flashes = (each.mapping for each in descriptors if isinstance(each.mapping, Flash))
    own = (each.nvram_template for each in flashes if each.executable.filename == loader.path)
    found = nvram.template or next((image.filename for image in own if image), None)
    if found is None:
        text = f"nothing tells what the variables of {loader.path} begin as"
        raise HostError(text, hint="write <nvram template='FILE'>")
    return found


_INTERFACES = {Firmware.BIOS: "bios", Firmware.EFI: "uefi"}


def _fits(build: Descriptor, domain: Domain) -> bool:
    wanted = _INTERFACES[domain.os.firmware] if domain.os.firmware else None
    return (
        wanted in build.interface_types
        and is_for(build, domain)
        and _keeps_state_as_wanted(build.mapping, domain)
        and all(_offers(build, feature, enabled) for feature, enabled in _demands(domain))
    )


def is_for(build: Descriptor, domain: Domain) -> bool:
    """Whether a build runs on a domain's machine."""
    return any(_is_board(target, domain) for target in build.targets)


def _is_board(target: Target, domain: Domain) -> bool:
    # The descriptors have QEMU's name for it.
    arch = "i386" if domain.os.type.arch == "i686" else domain.os.type.arch
    name = domain.os.type.machine or ""
    return target.architecture == arch and any(fnmatchcase(name, pattern) for pattern in target.machines)


def _keeps_state_as_wanted(mapping: Flash | Kernel | Memory, domain: Domain) -> bool:
    if not isinstance(mapping, Flash):
        return True
    stateless = bool(domain.os.loader and domain.os.loader.stateless)
    return mapping.mode == ("stateless" if stateless else "split")


def _demands(domain: Domain) -> Iterator[tuple[str, bool]]:
    """Features that the build must have, or must not have."""
    for feature in domain.os.firmware_features:
        yield feature.name, feature.enabled
    if domain.os.loader and domain.os.loader.secure is not None:
        yield "requires-smm", domain.os.loader.secure
    if domain.features and domain.features.smm and domain.features.smm.state is False:
        yield "requires-smm", False
    if domain.pm:
        for name, sleep in (("acpi-s3", domain.pm.suspend_to_mem), ("acpi-s4", domain.pm.suspend_to_disk)):
            if sleep and sleep.enabled:
                yield name, True
    if isinstance(domain.launch_security, Sev):
        yield "amd-sev", True
        if (domain.launch_security.policy or 0) & _SEV_ES:
            yield "amd-sev-es", True


def _offers(build: Descriptor, feature: str, enabled: bool) -> bool:
    return (feature in build.features) == enabled


def _use(build: Descriptor, domain: Domain) -> None:
    os, mapping = domain.os, build.mapping
    if isinstance(mapping, Kernel):
        os.kernel = mapping.filename
        return
    loader = os.loader = os.loader or Loader()
    if isinstance(mapping, Memory):
        loader.type, loader.path = LoaderType.ROM, mapping.filename
    else:
        loader.type, loader.readonly, loader.path = LoaderType.PFLASH, True, mapping.executable.filename
        if mapping.nvram_template:
            os.nvram = os.nvram or Nvram()
            os.nvram.template = os.nvram.template or mapping.nvram_template.filename
    if "requires-smm" in build.features:
        domain.features = domain.features or Features()
        domain.features.smm = domain.features.smm or Smm()
        domain.features.smm.state = loader.secure = True


def name_variables(domain: Domain, folder: Path) -> None:
    """Name the file of a guest's variables, in ``folder``, where flash has some and the document names none."""
    os = domain.os
    loader = os.loader
    if loader is None or loader.type is not LoaderType.PFLASH or not loader.readonly or loader.stateless:
        return
    os.nvram = os.nvram or Nvram()
    if isinstance(os.nvram, Nvram) and not os.nvram.path:
        os.nvram.path = str(folder / f"{domain.name}_VARS.fd")
