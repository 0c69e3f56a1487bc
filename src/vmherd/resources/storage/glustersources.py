"""The volumes that a Gluster server has.

Source: gluster(8), "volume info" with --xml
"""

from __future__ import annotations

from vmherd.conf.storage.pool import PoolSource
from vmherd.conformance import Case
from vmherd.errors import HostError
from vmherd.resources.storage.backends import spec
from vmherd.util import command
from vmherd.util.xmlmodel import Element, child, children, leaf, parse

_PACKAGE = "glusterfs-cli"
#: "Hello" to a server that is no Gluster one takes that long.
_PATIENCE = 60.0


class _Volume(Element, tag="volume"):
    name: str = leaf()


class _Volumes(Element, tag="volumes"):
    volumes: list[_Volume] = children()


class _Info(Element, tag="volInfo"):
    volumes: _Volumes = child(default=_Volumes)


class _Output(Element, tag="cliOutput"):
    result: int = leaf("opRet", default=0)
    problem: str | None = leaf("opErrstr")
    info: _Info = child(default=_Info)


async def ask(host: str, *, as_folders: bool) -> list[PoolSource]:
    """Raises HostError where the server does not answer."""
    argv = ["gluster", "--mode=script", "--xml", "volume", "info", f"--remote-host={host}"]
    return read(await command.run(argv, patience=_PATIENCE, package=_PACKAGE), host, as_folders=as_folders)


def read(text: str, host: str, *, as_folders: bool) -> list[PoolSource]:
    """Sources of pools of type 'gluster', or ``as_folders`` that are mounted: 'netfs'."""
    output = parse(_Output, text)
    if output.result:
        raise HostError(f"gluster failed: {output.problem or output.result}")
    names = [each.name for each in output.info.volumes.volumes]
    if as_folders:
        return [spec.source(host=host, folder=name, kind="glusterfs") for name in names]
    return [spec.source(host=host, folder="/", name=name) for name in names]


def conformance(case: Case) -> str:
    """What is found in an answer of the server."""
    return spec.sources(read(case.input, case.params["host"], as_folders=case.params["pool_type"] == "netfs"))
