"""One HTTP POST and what its outcome means: sent, try again, too large, or give up."""

from __future__ import annotations

import email.utils
import gzip
import time
from dataclasses import dataclass

import requests

RETRYABLE_STATUS = frozenset({408, 429, 502, 503, 504})
MAX_RETRY_AFTER_S = 300.0
_GZIP_FROM_BYTES = 1024


@dataclass(frozen=True)
class Outcome:
    """``state`` is ``sent``, ``retry``, ``too_large`` or ``refused``; ``detail`` is for the log."""

    state: str
    detail: str = ""
    retry_after_s: float | None = None
    body: bytes = b""


class Transport:
    """A connection to the server. Used by one thread at a time; after a fork a new one is made."""

    def __init__(
        self, headers: dict[str, str], timeout_s: float, verify: bool | str, cert: str | tuple[str, str] | None
    ) -> None:
        self.timeout_s = timeout_s
        self._session = requests.Session()
        self._session.headers.update(headers)
        self._session.verify = verify
        self._session.cert = cert
        # requests would otherwise replace our authorization by one from ~/.netrc.
        self._session.auth = _keep_headers

    def post(self, url: str, body: bytes, content_type: str, timeout_s: float | None = None) -> Outcome:
        """Send ``body``, gzip-compressed when that pays; never raises for anything the network does."""
        headers = {"Content-Type": content_type}
        if len(body) >= _GZIP_FROM_BYTES:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        limit_s = min(self.timeout_s, timeout_s) if timeout_s else self.timeout_s
        try:
            # No redirects: they turn a POST into a GET and could carry the key to another host.
            response = self._session.post(url, data=body, headers=headers, timeout=limit_s, allow_redirects=False)
        except (
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            requests.exceptions.InvalidHeader,
        ) as error:
            return Outcome("refused", f"{url}: {error}")
        except requests.exceptions.RequestException as error:
            return Outcome("retry", f"{url} is not reachable ({type(error).__name__})")
        except Exception as error:
            return Outcome("retry", f"{url}: {type(error).__name__}: {error}")
        return _judge(url, response)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def _judge(url: str, response: requests.Response) -> Outcome:
    status = response.status_code
    if 200 <= status < 300:
        return Outcome("sent", body=response.content)
    detail = f"{url} answered {status}: {response.text[:300]}"
    if status == 413:
        return Outcome("too_large", detail)
    if status in RETRYABLE_STATUS:
        return Outcome("retry", detail, retry_after_s(response.headers.get("Retry-After")))
    return Outcome("refused", detail)


def retry_after_s(value: str | None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, at most five minutes."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError):
            return None
    if seconds != seconds:
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
