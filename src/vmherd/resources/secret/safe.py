"""Values of secrets at rest: AES-256 in GCM mode, under a key that only we can read.

The key is a file of its own, so that a copy of the database, or a backup of it, tells nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from vmherd.errors import HostError
from vmherd.util.files import on_host, write_atomically

_KEY_SIZE = 32
_NONCE_SIZE = 12


class Safe:
    """Encrypts and decrypts; the key is made when first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lock(self, value: bytes, owner: str) -> bytes:
        """``value`` encrypted, of use for ``owner`` (a UUID) only."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 20 ms, and most hosts have no secrets

        nonce = os.urandom(_NONCE_SIZE)
        return nonce + AESGCM(self._key()).encrypt(nonce, value, owner.encode())

    def unlock(self, data: bytes, owner: str) -> bytes:
        """What was locked.  Raises HostError if it was changed since, or the key is another one."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            return AESGCM(self._key()).decrypt(data[:_NONCE_SIZE], data[_NONCE_SIZE:], owner.encode())
        except InvalidTag:
            raise HostError(
                f"the value of secret {owner} cannot be decrypted with the key in {self._path}",
                hint="bring that key back, or set the value anew",
            ) from None

    def _key(self) -> bytes:
        with on_host("read the key of the secrets"):
            if not self._path.exists():
                self._make()
            key = self._path.read_bytes()
        if len(key) != _KEY_SIZE:
            raise HostError(f"{self._path} is no key of {_KEY_SIZE} bytes", hint="bring the right one back")
        return key

    def _make(self) -> None:
        """Make a key; of two processes that do it at once, one wins and both use its key."""
        own = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        write_atomically(own, os.urandom(_KEY_SIZE), durable=True)
        try:
            os.link(own, self._path)
        except FileExistsError:
            pass
        finally:
            own.unlink()
