"""The last line of defence: what looks like a secret is taken out of text that others will see.

No caller is to hand one in. Should one do so, in an exception's text say, it still goes nowhere.
"""

import base64
import re
from typing import Any

REDACTED = "(removed: looks like a secret)"
_QUOTE = r"[\"']?"
_NAMES = (
    r"(?:client-key-data|client-certificate-data|certificate-authority-data|ca-key\.pem|"
    r"(?:[\w-]*[-_])?(?:token|password|passwd|client[-_]secret|api[-_]?key|private[-_]?key|"
    r"secret[-_]?key|access[-_]?key|auth[-_]string))"
)
_SECRETS = (
    # PEM, also with its line ends written out, and also if its end was cut off.
    r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)",
    # The same in base64, as Secrets and kubeconfigs have it: LS0tLS1CRUdJTi is -----BEGIN.
    r"LS0tLS1CRUdJTi[A-Za-z0-9+/=_-]*",
    # A JSON Web Token, as service accounts have; eyJ is {" in base64.
    r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}",
    # Long base64: what no word and no digest is (those are in lower case), and no usual path.
    r"(?<![A-Za-z0-9+/=])(?=[a-z0-9+/]*[A-Z])(?=[A-Za-z+/]*[0-9])[A-Za-z0-9+/]{80,}={0,2}",
)
_PATTERNS = [
    *((re.compile(pattern, re.DOTALL), REDACTED) for pattern in _SECRETS),
    (re.compile(r"((?:Authorization: *\w+|Bearer|Basic) +)[^\s\"',;]{12,}"), rf"\1{REDACTED}"),
    (
        re.compile(
            rf"(?<![\w.-])({_NAMES}{_QUOTE}\s*[:=]\s*)"
            rf"(?!\s|{re.escape(REDACTED)})(?:\"[^\"]*\"|'[^']*'|[^\s\"',;}}]+)",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
    # The password of a URL; the user's name may stay.
    (
        re.compile(r"(?<!\w)(\w+(?:\+\w+)?://[^\s/:@\"']{0,200}):[^\s/@\"']{1,500}@"),
        rf"\1:{REDACTED}@",
    ),
]
CERTIFICATES = frozenset({"caBundle", "root-cert.pem"})
"""Keys below which objects have CA certificates, which are public and which checks compare."""


def _is_secret_name(name: str) -> bool:
    """Tell whether what stands under this name is a secret: `password`, `api-key`, `x_token`."""
    return re.fullmatch(_NAMES, name, re.IGNORECASE) is not None


def redact(text: str) -> str:
    """Return the text without PEM blocks, tokens, passwords and what else looks like a secret."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def redact_strings(value: Any) -> Any:
    """Return a JSON document in whose texts nothing looks like a secret; numbers are as before."""
    if isinstance(value, dict):
        return {key: _redacted(str(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redact_strings(each) for each in value]
    return redact(value) if isinstance(value, str) else value


def _redacted(key: str, value: Any) -> Any:
    if key in CERTIFICATES and _is_public(value):
        return value
    if isinstance(value, str) and value and _is_secret_name(key):
        return REDACTED
    return redact_strings(value)


def _is_public(value: Any) -> bool:
    """Tell whether a text is certificates alone, as PEM or as PEM in base64."""
    if not isinstance(value, str):
        return False
    try:
        text = value if value.startswith("-----") else base64.b64decode(value).decode()
    except ValueError:
        return False
    rest = re.sub(r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----", "", text)
    return not rest.strip()
