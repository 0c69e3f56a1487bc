"""TLS with certificates of both sides, and the names in them."""

from __future__ import annotations

import ssl
from fnmatch import fnmatchcase
from pathlib import Path

from vmherd.daemon.config import Tls
from vmherd.errors import Denied, HostError


def context(settings: Tls) -> ssl.SSLContext:
    """What the daemon shows, and what it wants to see.  Raises HostError naming the setting that is wrong."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.verify_mode = ssl.CERT_REQUIRED
    for name in ("ca", "certificate", "key", *(["crl"] if settings.crl else [])):
        _require(name, Path(getattr(settings, name)))
    try:
        made.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ValueError) as problem:
        hint = "the key must be that of the certificate, in PEM and without a password"
        raise HostError(f"tls.certificate, tls.key: {_plain(problem)}", hint=hint) from None
    try:
        made.load_verify_locations(settings.ca)
        if settings.crl:
            made.load_verify_locations(settings.crl)
            made.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    except (OSError, ValueError) as problem:
        raise HostError(f"tls.ca, tls.crl: {_plain(problem)}", hint="both are files in PEM") from None
    return made


def _require(name: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as problem:
        hint = "'vmherd daemon --print-config' shows the settings of TLS; without tls.listen none is needed"
        raise HostError(f"tls.{name}: {path}: {problem.strerror}", hint=hint) from None


def _plain(problem: Exception) -> str:
    return getattr(problem, "reason", "") or str(problem)


def peer_name(connection: ssl.SSLObject) -> str:
    """The name in the certificate of the other side, as RFC 4514 writes it: "CN=admin,O=Example"."""
    from cryptography import x509

    shown = connection.getpeercert(binary_form=True)
    assert shown is not None  # the handshake fails without one
    return x509.load_der_x509_certificate(shown).subject.rfc4514_string()


def require_allowed(name: str, settings: Tls) -> None:
    """Raises Denied for a certificate that is good, but not one of those that may come in."""
    if settings.allowed and not any(fnmatchcase(name, pattern) for pattern in settings.allowed):
        raise Denied(f"the certificate {name!r} may not come in", hint="tls.allowed in daemon.toml has those that may")
