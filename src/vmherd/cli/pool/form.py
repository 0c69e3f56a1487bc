"""Options that describe a pool, as those of virsh's pool-define-as."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click
import msgspec


class PoolForm(msgspec.Struct, frozen=True, kw_only=True):
    """What a pool is made of, where it was said."""

    source_host: str | None = None
    source_path: str | None = None
    source_dev: str | None = None
    source_name: str | None = None
    source_format: str | None = None
    source_initiator: str | None = None
    source_protocol_ver: str | None = None
    auth_type: str | None = None
    auth_username: str | None = None
    secret_usage: str | None = None
    secret_uuid: str | None = None
    adapter_name: str | None = None

    def document(self, name: str, kind: str, target: str | None) -> str:
        """The XML document of a pool.  Raises DocumentError for one that cannot be."""
        from vmherd.conf.storage import Pool, PoolType, parse_pool, render_pool
        from vmherd.conf.storage.pool import PoolTarget
        from vmherd.errors import InvalidArgument

        if kind not in list(PoolType):
            raise InvalidArgument(f"there is no type {kind!r} of pools", hint=f"it may be {', '.join(PoolType)}")
        pool = Pool(type=PoolType(kind), name=name, source=self.source())
        if target:
            pool.target = PoolTarget(path=target)
        parse_pool(text := render_pool(pool))
        return text

    def source(self) -> Any:
        """The <source> of its document."""
        from vmherd.conf.domain.storage import Initiator, Iqn
        from vmherd.conf.storage import pool

        source = pool.PoolSource(name=self.source_name)
        if self.source_host:
            source.hosts.append(pool.SourceHost(name=self.source_host))
        if self.source_dev:
            source.devices.append(pool.SourceDevice(path=self.source_dev))
        source.dir = pool.SourceDir(path=self.source_path) if self.source_path else None
        source.format = pool.SourceFormat(type=self.source_format) if self.source_format else None
        source.adapter = pool.Adapter(name=self.adapter_name) if self.adapter_name else None
        source.protocol = pool.Protocol(ver=self.source_protocol_ver) if self.source_protocol_ver else None
        source.initiator = Initiator(iqn=Iqn(name=self.source_initiator)) if self.source_initiator else None
        source.auth = self._auth()
        return source

    def _auth(self) -> Any:
        from vmherd.conf.domain.storage import Secret
        from vmherd.conf.storage.pool import SourceAuth
        from vmherd.errors import InvalidArgument

        if not self.auth_type and not self.auth_username:
            return None
        if not (self.auth_type and self.auth_username and (self.secret_usage or self.secret_uuid)):
            raise InvalidArgument(
                "authentication needs more",
                hint="give --auth-type, --auth-username, and --secret-usage or --secret-uuid",
            )
        secret = Secret(usage=self.secret_usage, uuid=self.secret_uuid)
        return SourceAuth(type=self.auth_type, username=self.auth_username, secret=secret)


_OPTIONS = {
    "source-host": ("HOST", "The server that has it, of netfs, iscsi, rbd, ..."),
    "source-path": ("PATH", "The folder there, of netfs and gluster."),
    "source-dev": ("PATH", "The device, of fs and disk; the target, of iscsi."),
    "source-name": ("NAME", "The volume group, of logical; the pool, of rbd and zfs."),
    "source-format": ("FORMAT", "The file system, or the partition table."),
    "source-initiator": ("IQN", "As whom to log in, of iscsi-direct."),
    "source-protocol-ver": ("N", "The version of NFS, of netfs."),
    "auth-type": ("TYPE", "How to log in: chap or ceph."),
    "auth-username": ("NAME", "As whom to log in."),
    "secret-usage": ("NAME", "The secret to log in with, by what it is for."),
    "secret-uuid": ("UUID", "The secret to log in with."),
    "adapter-name": ("NAME", "The SCSI host, of scsi."),
}


def pool_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a pool is made of, as ``form``."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        told = {name: kwargs.pop(name) for name in PoolForm.__struct_fields__}
        return function(*args, form=PoolForm(**told), **kwargs)

    wrapped: Callable[..., Any] = run
    for name, (metavar, text) in reversed(_OPTIONS.items()):
        wrapped = click.option(f"--{name}", metavar=metavar, help=text)(wrapped)
    return wrapped
