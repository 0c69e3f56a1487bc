"""Certificates for what QEMU encrypts.

Source: qemuBuildTLSx509CommandLine of libvirt
"""

from __future__ import annotations

from vmherd.conf.domain.storage import Secret
from vmherd.hypervisors.qemu.command.launch import Launch
from vmherd.hypervisors.qemu.command.secrets import tls_credentials
from vmherd.hypervisors.qemu.config import Tls


def alias(user: str) -> str:
    """The id of the credentials of whatever has the id ``user``."""
    return f"obj{user}_tls0"


def credentials(user: str, settings: Tls, launch: Launch, *, listens: bool, name: str = "") -> list[str]:
    """The object that holds certificate and key, with the id ``name`` or that of ``alias``.

    A client always looks at the certificate of its server.
    """
    password = f"{user}-secret0" if settings.tls_secret else ""
    verify = settings.tls_verify if listens else True
    key = launch.vault.looked_up(password, Secret(uuid=settings.tls_secret)) if password else []
    name = name or alias(user)
    return [*key, *tls_credentials(name, settings.tls_folder, server=listens, verify=verify, password=password)]
