"""Secrets on the command line: encrypted with the guest's master key, which QEMU reads from a file.

Source: "Providing secret data" in QEMU's manual; qemuDomainSecretInfoSetup of libvirt.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass

from vmherd.conf.domain.storage import Secret
from vmherd.errors import Unsupported
from vmherd.hypervisors.qemu.command.device import Properties, option

#: The object with the key of all others.
MASTER_KEY = "masterKey0"
#: Bytes of the key (AES-256), and of the block that a message starts with (CBC).
KEY_SIZE = 32
_BLOCK_SIZE = 16


def no_secrets(secret: Secret) -> bytes:
    """Where nothing names a secret, and on made-up hosts that keep none.  Raises Unsupported."""
    name = secret.uuid or secret.usage
    raise Unsupported(f"secret {name!r} was not looked up", hint="name it in the document")


@dataclass(frozen=True, kw_only=True)
class Vault:
    """``find`` looks a secret up, by UUID or usage, and raises if there is none; ``random`` makes that many bytes."""

    key: bytes = bytes(KEY_SIZE)
    find: Callable[[Secret], bytes] = no_secrets
    random: Callable[[int], bytes] = os.urandom

    def secret(self, name: str, value: bytes) -> list[str]:
        """The object ``name`` that holds ``value``."""
        start = self.random(_BLOCK_SIZE)
        return option(
            "-object",
            {
                "qom-type": "secret",
                "id": name,
                "data": _text(_encrypt(self.key, start, value)),
                "keyid": MASTER_KEY,
                "iv": _text(start),
                "format": "base64",
            },
        )

    def looked_up(self, name: str, secret: Secret) -> list[str]:
        """The object ``name`` that holds what ``secret`` names."""
        return self.secret(name, self.find(secret))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _encrypt(key: bytes, start: bytes, value: bytes) -> bytes:
    """AES in CBC mode, padded after PKCS #7, as QEMU's secret object decrypts it."""
    from cryptography.hazmat.primitives import ciphers, padding  # 20 ms, and most guests have no secrets

    padder = padding.PKCS7(_BLOCK_SIZE * 8).padder()
    encryptor = ciphers.Cipher(ciphers.algorithms.AES(key), ciphers.modes.CBC(start)).encryptor()
    return encryptor.update(padder.update(value) + padder.finalize()) + encryptor.finalize()


def master_key(path: str) -> list[str]:
    """The key that encrypts all other secrets."""
    return option("-object", {"qom-type": "secret", "id": MASTER_KEY, "format": "raw", "file": path})


def tls_credentials(name: str, folder: str, *, server: bool, verify: bool = True, password: str = "") -> list[str]:
    """X.509 certificates from ``folder``; ``password`` names the secret that opens the private key."""
    properties: Properties = {
        "qom-type": "tls-creds-x509",
        "id": name,
        "dir": folder,
        "endpoint": "server" if server else "client",
        "verify-peer": verify,
        "passwordid": password or None,
    }
    return option("-object", properties)
