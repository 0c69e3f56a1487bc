"""The made-up host of conformance cases: its secrets, storage pools, certificates and descriptors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lxml import etree

from vmherd.conf.domain import Domain
from vmherd.conf.domain.storage import Auth, DiskSource, Secret, StorageHost, StorageType
from vmherd.conformance import Case
from vmherd.errors import HostError
from vmherd.hypervisors.qemu import command
from vmherd.hypervisors.qemu.command.launch import TlsFolder
from vmherd.hypervisors.qemu.command.secrets import KEY_SIZE, Vault
from vmherd.hypervisors.qemu.config import Config
from vmherd.hypervisors.qemu.madeup import assumed, settings
from vmherd.hypervisors.qemu.startup import volumes


def launch(domain: Domain, case: Case, config: Config) -> command.Launch:
    """What a start would decide on that host."""
    devices, told = case.facts["devices"], case.facts["config"] | case.host.get("config", {})
    return command.Launch(
        folder=Path(case.facts["domain"]["runtime_directory"].replace("NAME", domain.name[:20])),
        monitor_fd=devices["monitor"]["fd"],
        opener=settings.Opener(case.facts),
        memory=assumed.memory(case.facts["host"], told, domain),
        host=settings.HostSide(case.facts, domain),
        now=assumed.now(case.facts["host"]),
        incoming=assumed.incoming(case.params),
        vault=vault(case),
        volume=lambda source: _volume(source, case.facts["storage"]),
        is_cdrom=lambda path: path == devices["host_cdrom"],
        nbd_tls=TlsFolder(path=told["nbdTLSx509certdir"], secret=_by_uuid(told.get("nbdTLSx509secretUUID"))),
        passed={group: list(fds) for group, fds in (case.params.get("fd_groups") or {}).items()},
        config=config,
        tpm_socket=Path(devices["tpm_emulator_socket"]),
    )


def vault(case: Case) -> Vault:
    """Its random bytes are 0, 1, 2, ..., and so is the master key."""
    return Vault(key=_count(KEY_SIZE), find=lambda secret: _secret(secret, case.facts["secrets"]), random=_count)


def _count(size: int) -> bytes:
    return bytes(number % 256 for number in range(size))


def _by_uuid(uuid: str | None) -> Secret | None:
    return Secret(uuid=uuid) if uuid else None


def _secret(secret: Secret, facts: dict[str, Any]) -> bytes:
    """Any UUID is known; of the usages that are told the one of volumes is a sentence that ends in a prefix."""
    prefix = facts["usages"]["volume"].split()[-1]
    usage = secret.usage or ""
    if secret.uuid or usage in facts["usages"]["other"] or usage.startswith(prefix):
        return str(facts["value"]).encode()
    raise HostError(f"there is no secret {usage!r}")


def _volume(source: DiskSource, facts: dict[str, Any]) -> tuple[StorageType, DiskSource]:
    """A volume is named TYPE+NAME, or is a block device."""
    name, kind = source.volume or "", "block"
    if source.pool not in facts["pools"] and source.pool != facts["inactive_pool"]:
        raise HostError(f"there is no storage pool {source.pool!r}")
    if name == "nonexistent":
        raise HostError(f"there is no volume {name!r}")
    pool = _pool(source.pool or "", facts["pools"].get(source.pool))
    if "+" in name:
        kind, _, name = name.partition("+")
    path = f"/some/{kind}/device/{name}"
    return volumes.resolve(source, pool, volumes.Volume(name=name, type=kind, path=path))  # type: ignore[arg-type]


def _pool(name: str, text: str | None) -> volumes.Pool:
    if text is None:
        return volumes.Pool(name=name, type="dir", active=False)
    root = etree.fromstring(text)
    device, auth, secret = (root.find(f"source/{path}") for path in ("device", "auth", "auth/secret"))
    return volumes.Pool(
        name=name,
        type=root.get("type") or "",
        hosts=tuple(StorageHost(name=host.get("name"), port=host.get("port")) for host in root.iterfind("source/host")),
        target=(device.get("path") or "") if device is not None else "",
        auth=_auth(auth, secret) if auth is not None else None,
    )


def _auth(auth: etree._Element, secret: etree._Element | None) -> Auth:
    found = Secret(uuid=secret.get("uuid"), usage=secret.get("usage")) if secret is not None else None
    return Auth(username=auth.get("username") or "", secret=found)
