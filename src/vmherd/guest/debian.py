"""Files out of Debian packages, without installing them and without root.

Source: apt-get(8), apt-cache(8), dpkg-deb(1).
"""

from __future__ import annotations

import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from vmherd.errors import HostError
from vmherd.util import command

#: Seconds for a package on a slow line.
_PATIENCE = 600.0

_UPDATE = "refresh the list of packages with 'apt-get update' (as root), and check the network"


async def dependency(package: str, pattern: str) -> str:
    """The package matching ``pattern`` that ``package`` depends on.  Raises HostError where there is none."""
    said = await command.run(["apt-cache", "depends", "--important", package], package="apt")
    for found in re.findall(r"Depends: (\S+)", said):
        if re.fullmatch(pattern, found):
            return str(found)
    raise HostError(f"no package matches {pattern!r} among what {package} depends on", hint=_UPDATE)


async def download(package: str, folder: Path) -> Path:
    """Fetch a package file into ``folder``.  Raises HostError if it is unknown, or the archive out of reach."""
    try:
        # As root, apt fetches as another user, who cannot write to a private folder; it would only warn.
        await command.run(
            ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package],
            patience=_PATIENCE,
            package="apt",
            cwd=folder,
        )
    except HostError as problem:
        problem.hint = problem.hint or _UPDATE
        raise
    return _downloaded(package, folder)


def _downloaded(package: str, folder: Path) -> Path:
    for path in folder.glob(f"{package}_*.deb"):
        return path
    raise HostError(f"apt-get downloaded no package {package}", hint=_UPDATE)


def extract(package: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Path and content of the regular files in a package whose path, such as ``boot/vmlinuz``, is wanted.

    Nothing is written anywhere, so no path in the package can do harm.  Raises HostError for a bad package.
    """
    argv: list[str | Path] = ["dpkg-deb", "--fsys-tarfile", package]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        try:
            with tarfile.open(fileobj=child.stdout, mode="r|") as archive:
                for member in archive:
                    path = member.name.removeprefix("./")
                    if member.isfile() and wanted(path) and (content := archive.extractfile(member)):
                        yield path, content.read()
        except tarfile.TarError as problem:
            raise HostError(f"cannot read {package.name}: {problem}") from None
        finally:
            child.kill()
