"""TLS certificates: loading them, noticing new ones, making one for development."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from collections.abc import Sequence
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ringmesh.errors import ConfigurationError

_LIFETIME = datetime.timedelta(days=365)
_RENEWED_BEFORE = datetime.timedelta(days=30)

_logger = structlog.get_logger(__name__)


class Certificate:
    """A certificate chain and its key in PEM files, and every TLS context that uses them.

    Raises:
        ConfigurationError: they cannot be used.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self._contexts: list[ssl.SSLContext] = []
        self._loaded = self._state()
        try:
            self._load(_new_context())
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"cannot use the TLS certificate: {error}") from error

    def context(self, alpn: Sequence[str] = ()) -> ssl.SSLContext:
        """A context for servers, at least TLS 1.2.

        Args:
            alpn: names of the protocols spoken inside, for clients that ask (RFC 7301).
        """
        context = _new_context()
        if alpn:
            context.set_alpn_protocols(list(alpn))
        self._load(context)
        self._contexts.append(context)
        return context

    def refresh(self) -> None:
        """Use the files as they are now, for connections that begin from now on. If they have
        changed and cannot be used, the old ones stay."""
        state = self._state()
        if state == self._loaded:
            return
        try:
            self._load(_new_context())  # a pair that does not match would spoil a context in use
            for context in self._contexts:
                self._load(context)
        except (OSError, ValueError) as error:
            _logger.error("new TLS certificate cannot be used", reason=str(error))
            return
        self._loaded = state
        _logger.info("TLS certificate read again", file=str(self._files[0]))

    def _load(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(*self._files)

    def _state(self) -> list[tuple[int, int]]:
        try:
            return [(stat.st_mtime_ns, stat.st_ino) for stat in map(os.stat, self._files)]
        except OSError:  # in the middle of a replacement
            return []


def self_signed(folder: Path, names: Sequence[str]) -> Certificate:
    """A certificate for development that nobody vouches for, made and kept in a folder.

    Args:
        names: host names and addresses that it is for.

    Raises:
        ConfigurationError: it cannot be kept there.
    """
    certificate, key = folder / "self-signed.pem", folder / "self-signed.key"
    try:
        if not (key.exists() and _is_good(certificate, names)):
            _make(certificate, key, names)
    except OSError as error:
        raise ConfigurationError(f"cannot write {certificate}: {error}") from error
    return Certificate(certificate, key)


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _is_good(path: Path, names: Sequence[str]) -> bool:
    if not path.exists():
        return False
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
        listed = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    fresh_until = found.not_valid_after_utc - _RENEWED_BEFORE
    now = datetime.datetime.now(datetime.UTC)
    return set(map(_general_name, names)) <= set(listed) and now < fresh_until


def _make(certificate: Path, key: Path, names: Sequence[str]) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=False)
        .sign(private, hashes.SHA256())
    )
    encoded = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    key.unlink(missing_ok=True)
    with os.fdopen(os.open(key, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(encoded)
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
