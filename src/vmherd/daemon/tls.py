"""TLS with certificates of both sides, and the names in them."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from fnmatch import fnmatchcase
from pathlib import Path

from vmherd.daemon.config import Tls
from vmherd.daemon.wire.server import Server
from vmherd.daemon.wire.terms import Identity
from vmherd.errors import Denied, HostError
from vmherd.rpc.channel import StreamChannel

log = logging.getLogger("vmherd.daemon")

#: What libvirt sends once it has accepted a certificate, before anything else.
_WELCOME = b"\1"


def context(settings: Tls) -> ssl.SSLContext:
    """What the daemon shows, and what it wants to see.  Raises HostError naming the setting that is wrong."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.verify_mode = ssl.CERT_REQUIRED
    # libvirt's clients take what comes after the handshake for the welcome: no tickets for resuming sessions.
    made.num_tickets = 0
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


class TlsDoor:
    """Lets in who shows a certificate that may come in; ``settings`` may be changed at any time."""

    def __init__(self, server: Server, settings: Tls) -> None:
        self._server = server
        self.apply(settings)

    def apply(self, settings: Tls) -> None:
        """Show and demand other certificates from now on.  Raises HostError, and stays as it was."""
        self._context = context(settings)
        self._settings = settings

    def take(self, sock: socket.socket) -> None:
        """Find out who is at the other end of a connected socket."""
        task = asyncio.create_task(self._greet(sock))
        gate = self._server.gate(local=False)
        gate.enter(task, task.cancel)
        task.add_done_callback(gate.leave)

    async def _greet(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        peer = sock.getpeername()
        where = f"{peer[0]}:{peer[1]}"
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: StreamChannel(lambda channel: self._admit(channel, where)), sock, ssl=self._context
            )
        except (OSError, TimeoutError) as problem:
            log.info("%s does not get in: %s", where, _plain(problem))
            sock.close()
        except asyncio.CancelledError:
            sock.close()
            raise

    def _admit(self, channel: StreamChannel, where: str) -> None:
        assert channel.transport is not None  # it was connected this moment
        name = peer_name(channel.transport.get_extra_info("ssl_object"))
        try:
            require_allowed(name, self._settings)
        except Denied as problem:
            log.warning("%s does not get in: %s", where, problem)
            channel.close()
            return
        channel.send(_WELCOME)
        self._server.add(channel, readonly=False, identity=Identity(transport="tls", address=where, name=name))
