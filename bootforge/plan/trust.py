"""Certificate authorities that a host believes besides those of its distribution."""

from __future__ import annotations

import hashlib
import re
import ssl
from pathlib import PurePosixPath

from bootforge.errors import did_you_mean
from bootforge.model_steps import Step, whole_file
from bootforge.plan.faults import Fault
from bootforge.releases import RELEASES
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site

_ANCHORS = "/etc/pki/ca-trust/source/anchors"
_BUNDLE = "/etc/pki/tls/certs/ca-bundle.crt"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n")
_TAG = re.compile(r"^-----BEGIN ([A-Z0-9 ]+)-----$", re.MULTILINE)


def plan_trust(site: Site, host: ResolvedHost, faults: list[Fault]) -> tuple[Step, ...]:
    """A file for each file of the site, and a step by which others of ours go; on EL5, whose tools read one bundle, a
    block in that."""
    certificates = {file: _read(site, file, faults) for file in host.spec.trust}
    how = RELEASES[host.release].trust
    if how == "bundle":
        content = "".join(certificates.values())
        return (Step("trust", "ca_bundle", (_BUNDLE,), ("trust",), content=content or None),)
    notify = ("trust:enable" if how == "enable" else "trust",)
    names = {file: _name(file) for file in certificates}
    return (
        *(
            whole_file(f"trust:{name}", f"{_ANCHORS}/{name}", certificates[file], ("trust", file), notify=notify)
            for file, name in names.items()
        ),
        Step("trust", "only", (_ANCHORS, *names.values()), ("trust",), notify=notify),
    )


def _name(file: str) -> str:
    """Of the anchor: what the file is called, and a digest of its path, because two directories may have one name."""
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", PurePosixPath(file).stem)
    return f"bootforge-{stem}-{hashlib.sha256(file.encode()).hexdigest()[:8]}.pem"


def _read(site: Site, file: str, faults: list[Fault]) -> str:
    """Its certificates, without what stands around them."""
    path = ("trust", file)
    if file not in site.files:
        hint = did_you_mean(file, [name for name in site.files if not name.endswith(".yaml")]) or "copy it there"
        faults.append(Fault(path, "BF132", f"no file '{file}' in the site", hint))
        return ""
    text = re.sub(r"[ \t]*\r?\n", "\n", site.files[file].decode("utf-8", "replace") + "\n")
    tags, certificates = _TAG.findall(text), _CERTIFICATE.findall(text)
    what, hint = "", ""
    if any("PRIVATE KEY" in tag for tag in tags):
        what, hint = f"{file} holds a private key", "take it out of the site, and replace it: others have read it"
    elif other := next((tag for tag in tags if tag != "CERTIFICATE"), ""):
        what, hint = f"{file} holds a {other}", "write the certificate with 'openssl x509 -in FILE'"
    elif not tags:
        what, hint = f"{file} has no certificate in PEM", "'openssl x509 -inform DER -in FILE' writes PEM"
    else:
        bad = [number for number, one in enumerate(certificates, 1) if not _is_certificate(one)]
        if bad or len(certificates) < len(tags):
            number = f" {bad[0]}" if bad and len(tags) > 1 else ""
            what, hint = f"certificate{number} of {file} cannot be read", f"'openssl x509 -in {file} -text' says why"
    if what:
        faults.append(Fault(path, "BF132", what, hint))
    return "".join(certificates)


def _is_certificate(pem: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        return False
    return True
