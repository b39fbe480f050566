"""A company's own certificate authority: read from the file that HEADWAY_CA_FILE names."""

import os
import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import as_step_error

BUNDLE_BYTES_MAX = 500 * 1024
"""BuildKit takes no larger secret, and the bundle reaches builds as one."""
OWN_FILE, BUNDLE_FILE = "ca.pem", "ca-bundle.pem"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----")
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)  # fmt: skip
"""Debian and Alpine, Fedora, SUSE, macOS."""


@dataclass(frozen=True)
class Authority:
    """Certificates as PEM text: the company's ``own``, and the ``bundle`` of these and all that the system trusts.

    Most programs trust what is in the one file that they are named, and nothing else; hence the bundle.
    """

    own: str = field(repr=False)
    bundle: str = field(repr=False)

    def write(self, folder: Path) -> None:
        """Writes both to ``folder``, for every user to read; a reader never sees half a file. Raises StepError."""
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
        """For a client of ours that shall trust them."""
        context = ssl.create_default_context(cadata=self.bundle)
        # Python 3.13 turns it on, and then refuses many a company's certificates that git, curl and Docker take.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


def own_certificates(path: Path) -> list[str]:
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
        what = "is empty" if not text.strip() else f"holds no certificate in PEM form; if it is one in DER form, {hint}"
        raise ValueError(f"the file {path} {what}")
    return found


def read_authority(path: Path, environment: Mapping[str, str]) -> Authority:
    """The company's authority, with what the system trusts. Raises ValueError."""
    own = own_certificates(path)
    system = _certificates(_system_bundle(environment).read_text(errors="replace"))
    bundle = "".join(_each_once([*system, *own]))
    if len(bundle) > BUNDLE_BYTES_MAX:
        limit = f"{len(bundle):,} bytes, more than the {BUNDLE_BYTES_MAX:,} that a build can be given"
        raise ValueError(f"the file {path} and the system's certificates have {limit}; keep your company's only in it")
    return Authority("".join(_each_once(own)), bundle)


def _certificates(text: str) -> list[str]:
    """Only certificates: a private key that was left in the file goes nowhere."""
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
    hint = "install ca-certificates, or name such a file in SSL_CERT_FILE"
    raise ValueError(f"this machine has no file with the certificates that it trusts; {hint}")
