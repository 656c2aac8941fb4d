"""One file over HTTP: taken up where an earlier attempt broke off, past redirects and proxies.

httpx reads SSL_CERT_FILE and SSL_CERT_DIR; proxies are chosen in isthmus.adapters.web_proxy.
"""

from pathlib import Path

import httpx

from isthmus import events, polling
from isthmus.adapters import web_proxy
from isthmus.errors import NotReady, Unprepared

INTERVAL = 1.0
"""Seconds between two attempts."""
MB = 1_000_000
GONE = (404, 410)
BUSY = 429
NOT_SATISFIABLE = 416
PARTIAL = 206
NOBODY = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


def fetch(url: str, target: Path) -> bool:
    """Make `target` hold what is at `url`; False if there is no such file there.

    A URL's user and password are sent and never shown. Raises Unprepared if nobody answers there
    or we are refused, NotReady if the server keeps breaking off.
    """
    client, shown = _client(url)
    with client:
        attempts = _Attempts(client, shown, target)
        size = -1
        while size < attempts.size():
            size = attempts.size()
            try:
                return polling.until(
                    attempts.go,
                    f"{target.name} from {attempts.shown}",
                    timeout=polling.timeouts().download,
                    interval=INTERVAL,
                    seen=lambda: attempts.failure,
                )
            except NotReady as error:
                last = error
        raise _nobody(url, last.message) if attempts.nobody else last


def _nobody(url: str, message: str) -> Unprepared:
    name = web_proxy.variable(url)
    hint = f"is the proxy in {name} up, and does it lead there?" if name else ""
    return Unprepared(message, hint=hint)


def _client(url: str) -> tuple[httpx.Client, str]:
    """Return what asks, and the URL without user and password."""
    try:
        where = httpx.URL(url)
        auth = httpx.BasicAuth(where.username, where.password) if where.userinfo else None
        # None: directly. Else httpx finds the same proxy, for the hosts of redirects too.
        past = {} if web_proxy.proxy_for(url) else {f"all://{where.netloc.decode()}": None}
        # In which the server may say nothing; a whole file may take as long as it likes.
        silence = max(2 * polling.timeouts().request, polling.timeouts().download)
        client = httpx.Client(auth=auth, timeout=silence, follow_redirects=True, mounts=past)
        return client, str(where.copy_with(userinfo=b""))
    except (httpx.InvalidURL, ValueError):
        # A proxy's address may hold a password, so what came back is not repeated.
        text = "invalid URL: the one to download from, or a proxy's"
        raise Unprepared(text, hint="look at ISTHMUS_MIRROR and HTTPS_PROXY") from None


class _Attempts:
    """Attempts at one file; each begins with what the ones before it got."""

    def __init__(self, client: httpx.Client, shown: str, target: Path) -> None:
        self._client = client
        self.shown = shown
        self._target = target
        self._part = target.with_name(f"{target.name}.part")
        self.failure = ""
        self.nobody = False

    def size(self) -> int:
        """Return how many bytes are here."""
        return self._part.stat().st_size if self._part.exists() else 0

    def go(self) -> bool | None:
        """Return True if the file is whole, False if it is not there, None to try again."""
        have = self.size()
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            with self._client.stream("GET", self.shown, headers=headers) as answer:
                return self._take(answer, have)
        except httpx.RequestError as error:
            self.failure = str(error) or type(error).__name__
            self.nobody = isinstance(error, NOBODY)
        return None

    def _take(self, answer: httpx.Response, have: int) -> bool | None:
        self.nobody = False
        self.failure = f"HTTP {answer.status_code} {answer.reason_phrase}".rstrip()
        if answer.status_code in GONE:
            return False
        if answer.status_code == NOT_SATISFIABLE:
            self._part.unlink(missing_ok=True)
            return None
        if answer.status_code == BUSY or answer.is_server_error:
            return None
        if not answer.is_success:
            raise Unprepared(f"{self._target.name} from {self.shown}: {self.failure}")
        self._save(answer, have if _goes_on(answer, have) else 0)
        self._part.replace(self._target)
        return True

    def _save(self, answer: httpx.Response, have: int) -> None:
        left = int(answer.headers.get("Content-Length", 0))
        total = have + left if left else 0
        with self._part.open("ab" if have else "wb") as file:
            # As they come: chunks of a size of ours would be lost if the rest of one never comes.
            for chunk in answer.iter_raw():
                file.write(chunk)
                if have // MB != (have := have + len(chunk)) // MB:
                    self._tell(have, total)
                polling.raise_if_stopped()

    def _tell(self, have: int, total: int) -> None:
        of = f" of {total / MB:.0f}" if total else ""
        text = f"fetching {self._target.name}: {have / MB:.0f}{of} MB"
        events.report_progress(text, have / total if total else None)


def _goes_on(answer: httpx.Response, have: int) -> bool:
    """Tell whether the server gives what follows, and not the whole again."""
    given = answer.headers.get("Content-Range", "")
    return answer.status_code == PARTIAL and given.startswith(f"bytes {have}-")
