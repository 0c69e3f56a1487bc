"""Certificates for tests, made with openssl."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"


class Authority:
    """A certificate authority for one test, made with openssl."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._openssl(f"req -x509 {KEY} -days 2 -subj /CN={folder.name} -keyout ca.key -out cacert.pem")

    def _openssl(self, words: str) -> None:
        subprocess.run(["openssl", *words.split()], cwd=self.folder, check=True, capture_output=True)

    def issue(self, name: str, subject: str) -> None:
        """NAMEcert.pem and NAMEkey.pem."""
        self._openssl(
            f"req {KEY} -subj {subject} -addext subjectAltName=IP:127.0.0.1 -keyout {name}key.pem -out request"
        )
        signer = "-CA cacert.pem -CAkey ca.key -CAcreateserial -copy_extensions copyall"
        self._openssl(f"x509 -req -in request {signer} -days 2 -out {name}cert.pem")

    def client(self, folder: Path, subject: str) -> Path:
        """A folder as a client's pkipath has it."""
        folder.mkdir()
        self.issue("client", subject)
        for name in ("cacert.pem", "clientcert.pem", "clientkey.pem"):
            shutil.copy(self.folder / name, folder)
        return folder
