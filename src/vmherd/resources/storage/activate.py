"""The commands that make the content of a pool available: mount(8) and vgchange(8).

Source: virStorageBackendFileSystemMountCmd and virStorageBackendLogicalChangeCmd of libvirt
"""

from __future__ import annotations

from vmherd.conf.storage import Pool, PoolType
from vmherd.errors import Unsupported

#: What no file on a pool shall do for whoever mounts it.
_CAUTION = ("nodev", "nosuid", "noexec")


def command(pool: Pool) -> list[str]:
    """Raises Unsupported for pools that need none."""
    match pool.type:
        case PoolType.FS | PoolType.NETFS:
            return ["mount", *_mount(pool)]
        case PoolType.LOGICAL:
            assert pool.source.name  # parse_pool gives one
            return ["vgchange", "-aly", pool.source.name]
    raise Unsupported(f"pools of type {str(pool.type)!r} are there without a command", place="pool/@type")


def _mount(pool: Pool) -> list[str]:
    assert pool.target  # pools of these types have both: parse_pool sees to it
    assert pool.source.format
    kind = pool.source.format.type
    type_ = [] if kind == "auto" else ["-t", kind]
    return ["-o", ",".join(_options(pool, kind)), *type_, _source(pool, kind), pool.target.path or ""]


def _options(pool: Pool, kind: str) -> list[str]:
    words = [*_CAUTION]
    if kind == "glusterfs":
        words.append("direct-io-mode=1")
    elif kind == "cifs":
        words.append("guest")
    if pool.source.protocol:
        words.append(f"nfsvers={pool.source.protocol.ver}")
    if pool.mount_options:
        words += [option.name for option in pool.mount_options.options]
    return words


def _source(pool: Pool, kind: str) -> str:
    source = pool.source
    if pool.type is PoolType.FS:
        return source.devices[0].path
    assert source.dir  # as above
    host, path = source.hosts[0].name, source.dir.path
    return f"//{host}/{path.lstrip('/')}" if kind == "cifs" else f"{host}:{path}"
