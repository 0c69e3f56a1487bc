"""The certificates of a TLS client, in the places where libvirt's clients have them.

Source: https://libvirt.org/kbase/tlscerts.html
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from vmherd.errors import ConnectFailed
from vmherd.remote.target import Target

_SYSTEM = ("/etc/pki/CA/cacert.pem", "/etc/pki/libvirt/clientcert.pem", "/etc/pki/libvirt/private/clientkey.pem")
_NAMES = ("cacert.pem", "clientcert.pem", "clientkey.pem")


def client_context(target: Target) -> ssl.SSLContext:
    """Raises ConnectFailed where a file is missing or unreadable."""
    authority, certificate, key = _files(target)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if target.no_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            context.load_verify_locations(authority)
        # A server may do without a certificate of ours; one that is half there is a mistake.
        if certificate.exists() or key.exists():
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as problem:
        raise ConnectFailed(f"cannot use {authority}, {certificate} and {key}: {problem}", hint=_HINT) from None
    return context


_HINT = "https://libvirt.org/kbase/tlscerts.html tells how to make certificates; ?pkipath=FOLDER where they are"


def _files(target: Target) -> tuple[Path, Path, Path]:
    """Those of ``pkipath``, else the user's own, else the system's; each by itself, as libvirt looks for them."""
    if target.pkipath:
        folder = Path(target.pkipath)
        return folder / _NAMES[0], folder / _NAMES[1], folder / _NAMES[2]
    system = [Path(path) for path in _SYSTEM]
    if os.geteuid() == 0:
        return system[0], system[1], system[2]
    own = [Path.home() / ".pki/libvirt" / name for name in _NAMES]
    pair = own[1:] if own[1].exists() or own[2].exists() else system[1:]
    return own[0] if own[0].exists() else system[0], pair[0], pair[1]
