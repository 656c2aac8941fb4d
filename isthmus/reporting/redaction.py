"""The last line of defence: what looks like a secret is taken out of text that others will see.

No caller is to hand one in. Should one do so, in an exception's text say, it still goes nowhere.
"""

import re

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


def is_secret_name(name: str) -> bool:
    """Tell whether what stands under this name is a secret: `password`, `api-key`, `x_token`."""
    return re.fullmatch(_NAMES, name, re.IGNORECASE) is not None


def redact(text: str) -> str:
    """Return the text without PEM blocks, tokens, passwords and what else looks like a secret."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text
