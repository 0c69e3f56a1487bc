"""Files out of Debian packages, without installing them and without root.

Source: apt-get(8), apt-cache(8), dpkg-deb(1).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from vmherd.errors import HostError
from vmherd.util import command

#: Seconds for a package on a slow line.
_PATIENCE = 600.0

_UPDATE = "refresh the list of packages with 'apt-get update' (as root), and check the network and the room on the disk"


async def dependency(package: str, pattern: str) -> str:
    """The package matching ``pattern`` that ``package`` depends on.  Raises HostError where there is none."""
    said = await _apt("apt-cache", "depends", "--important", package)
    for found in re.findall(r"Depends: (\S+)", said):
        if re.fullmatch(pattern, found):
            return str(found)
    raise HostError(f"no package matches {pattern!r} among what {package} depends on", hint=_UPDATE)


async def download(package: str, folder: Path) -> Path:
    """Fetch a package file into ``folder``.  Raises HostError if it is unknown, or the archive out of reach."""
    # As root, apt fetches as another user, who cannot write to a private folder; it would only warn.
    await _apt("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package, cwd=folder)
    return _downloaded(package, folder)


def _downloaded(package: str, folder: Path) -> Path:
    for path in folder.glob(f"{package}_*.deb"):
        return path
    raise HostError(f"apt-get downloaded no package {package}", hint=_UPDATE)


async def size(package: str, folder: Path) -> int:
    """Bytes that :func:`download` has to fetch into ``folder``; 0 if the package is there.  Raises HostError."""
    said = await _apt("apt-get", "download", "-q", "--print-uris", package, cwd=folder)
    # One line for each file: 'URI' name size hash
    return sum(int(found) for found in re.findall(r"^'\S+' \S+ (\d+) ", said, re.MULTILINE))


async def _apt(*argv: str, cwd: Path | None = None) -> str:
    if not shutil.which(argv[0]):
        hint = "away from Debian and its relatives, boot a kernel or a disk image of your own"
        raise HostError(f"{argv[0]} is not installed", hint=hint)
    try:
        return await command.run(argv, patience=_PATIENCE, cwd=cwd)
    except HostError as problem:
        problem.hint = problem.hint or _UPDATE
        raise


def extract(package: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Path and content of the regular files in a package whose path, such as ``boot/vmlinuz``, is wanted.

    Nothing is written anywhere, so no path in the package can do harm.  Raises HostError for a bad package.
    """
    argv: list[str | Path] = ["dpkg-deb", "--fsys-tarfile", package]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        try:
            yield from _members(child, wanted)
        except tarfile.TarError as problem:
            raise HostError(f"cannot read {package.name}: {problem}") from None
        finally:
            child.kill()


def _members(child: subprocess.Popen[bytes], wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    assert child.stdout is not None
    with tarfile.open(fileobj=child.stdout, mode="r|") as archive:
        for member in archive:
            path = member.name.removeprefix("./")
            if member.isfile() and wanted(path) and (content := archive.extractfile(member)):
                yield path, content.read()
    while child.stdout.read(65536):
        pass  # the padding
    if child.wait():  # tarfile takes an archive cut between two files for a whole one
        raise tarfile.ReadError("dpkg-deb could not unpack it to the end")
