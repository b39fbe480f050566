"""The certificates of a private CA, read from the file that HEADWAY_CA_FILE names."""

import os
import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import as_step_error

BUNDLE_BYTES_MAX = 500 * 1024
"""BuildKit's limit for a secret: builds get the bundle as one."""
OWN_FILE, BUNDLE_FILE = "ca.pem", "ca-bundle.pem"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----")
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)  # fmt: skip
"""Debian and Alpine, Fedora, SUSE, macOS."""


@dataclass(frozen=True)
class CaCertificates:
    """Certificates as PEM text: the private CA's in ``own``, and in ``bundle`` these and all that the system trusts.

    Most programs trust only the one file that they are given; they need the bundle.
    """

    own: str = field(repr=False)
    bundle: str = field(repr=False)

    def write(self, folder: Path) -> None:
        """Writes both files to ``folder``, readable for all users, each atomically. Raises StepError."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
            for name, text in ((OWN_FILE, self.own), (BUNDLE_FILE, self.bundle)):
                part = folder / f".{name}-{os.getpid()}"
                part.write_text(text)
                part.chmod(0o644)
                part.replace(folder / name)
        except OSError as error:
            raise as_step_error(error) from error

    def tls_context(self) -> ssl.SSLContext:
        """A context for Headway's own clients that trusts them."""
        context = ssl.create_default_context(cadata=self.bundle)
        # On by default since Python 3.13, which then refuses many private CAs that git, curl and Docker accept.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


def custom_certificates(path: Path) -> list[str]:
    """The certificates in the file, each as PEM text. Raises ValueError with what is wrong and what to do."""
    try:
        text = path.read_bytes().decode(errors="replace")
    except OSError as error:
        raise ValueError(f"the file {path} cannot be read: {error.strerror}") from None
    found = _certificates(text)
    try:
        ssl.create_default_context(cadata="".join(found))
    except (ssl.SSLError, ValueError):
        found = []
    if not found:
        hint = f"convert it: openssl x509 -inform der -in {path} -out ca.pem"
        what = "is empty" if not text.strip() else f"contains no PEM certificate; if it is in DER format, {hint}"
        raise ValueError(f"the file {path} {what}")
    return found


def read_ca_certificates(path: Path, environment: Mapping[str, str]) -> CaCertificates:
    """The private CA's certificates, and with them those that the system trusts. Raises ValueError."""
    own = custom_certificates(path)
    system = _certificates(_system_bundle(environment).read_text(errors="replace"))
    bundle = "".join(_each_once([*system, *own]))
    if len(bundle) > BUNDLE_BYTES_MAX:
        size = f"{len(bundle):,} bytes, more than the limit of {BUNDLE_BYTES_MAX:,} for builds"
        raise ValueError(f"the file {path} and the system's certificates have {size}; keep only your private CA in it")
    return CaCertificates("".join(_each_once(own)), bundle)


def _certificates(text: str) -> list[str]:
    """Only the certificates: a private key in the file is ignored."""
    return [
        f"-----BEGIN CERTIFICATE-----\n{body.strip()}\n-----END CERTIFICATE-----\n"
        for body in _CERTIFICATE.findall(text)
    ]


def _each_once(certificates: Iterable[str]) -> Iterable[str]:
    return {"".join(each.split()): each for each in certificates}.values()


def _system_bundle(environment: Mapping[str, str]) -> Path:
    named = environment.get("SSL_CERT_FILE")
    for path in map(Path, (*([named] if named else []), *_SYSTEM_BUNDLES)):
        if path.is_file():
            return path
    hint = "install ca-certificates, or set SSL_CERT_FILE"
    raise ValueError(f"this machine has no file of trusted certificates; {hint}")
