"""Sockets of channels that have a path made up for them when the guest starts.

Source: qemuDomainPrepareChannel and qemuDomainChrDefDropDefaultPath of libvirt
"""

from __future__ import annotations

import re
from pathlib import Path

from vmherd.conf.domain import Domain
from vmherd.conf.domain.address import VirtioSerialAddress
from vmherd.conf.domain.chardev import Channel, ChannelTargetType, ChardevSource, ChardevType, SocketMode
from vmherd.conf.domain.streams import streams_of


def forget_generated(domain: Domain, folder: str) -> None:
    """Drop paths below ``folder`` that were made up for an earlier run, and say that such a channel listens."""
    for channel in domain.devices.channels:
        if not _may_be_generated(channel):
            continue
        for source in channel.sources:
            if source.path and _is_generated(source.path, folder, channel.target.name or ""):
                source.path = None
            if not source.path:
                source.mode = SocketMode.BIND


def name(domain: Domain, folder: Path) -> None:
    """Channels without a path listen in ``folder``."""
    for channel in domain.devices.channels:
        if _may_be_generated(channel) and not any(source.path for source in channel.sources):
            channel.sources = [ChardevSource(mode=SocketMode.BIND, path=str(folder / _file_name(channel)))]


def tell_encryption(domain: Domain, encrypted: bool) -> None:
    """Say of each line over TCP whether it is encrypted, which the administrator's settings decide if it does not.

    Source: qemuDomainPrepareChardevSourceTLS of libvirt
    """
    for stream in streams_of(domain.devices):
        for source in stream.sources if stream.type is ChardevType.TCP else ():
            source.tls = encrypted if source.tls is None else source.tls


def _may_be_generated(channel: Channel) -> bool:
    return channel.target.type is ChannelTargetType.VIRTIO and channel.type is ChardevType.UNIX


def _is_generated(path: str, folder: str, target: str) -> bool:
    """In a folder of the guest, or, as long ago, with the guest's name in front."""
    old = f"^{re.escape(folder)}/[^/]+\\."
    return bool(re.search(f"{old}|domain-[^/]+/{re.escape(target)}$", path))


def _file_name(channel: Channel) -> str:
    if channel.target.name:
        return channel.target.name.replace("/", "_")
    place = channel.address
    assert isinstance(place, VirtioSerialAddress)  # completion gives one to each
    return f"vioser-{place.controller:02}-{place.bus:02}-{place.port or 0:02}.sock"
