"""The one tree of errors: each says what happened, to what, and what to do.

``message`` is one sentence for the caller, ``hint`` one sentence of advice (may be empty).
``code`` is stable and machine readable; ``http_status`` is what HTTP callers get. Retryable
errors (503) carry ``retry_after_s``.
"""

from __future__ import annotations


class SpanhouseError(Exception):
    """The root: an unexpected fault inside Spanhouse."""

    code = "internal_error"
    http_status = 500

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def said(self) -> str:
        """Return message and hint as one line, for places that have no room for two."""
        return f"{self.message}; {self.hint}" if self.hint else self.message


class ConfigError(SpanhouseError):
    """A setting is missing or contradicts another; the process must not start."""

    code = "bad_configuration"


class FolderInUse(ConfigError):
    """Another process holds the data folder, most likely a running server."""

    code = "folder_in_use"


class BadRequest(SpanhouseError):
    """The caller sent something that no retry can mend."""

    code = "bad_request"
    http_status = 400


class UndecodableBody(BadRequest):
    """The body is not what its content type or encoding says."""

    code = "undecodable_body"


class BodyTooLarge(BadRequest):
    """The body passes the size limit (measured after decompression)."""

    code = "body_too_large"
    http_status = 413


class UnsupportedMediaType(BadRequest):
    """The content type or content encoding is none that this endpoint reads."""

    code = "unsupported_media_type"
    http_status = 415


class BadQuery(BadRequest):
    """A filter, sort, cursor or time range cannot be read.

    ``position`` and ``length`` (characters) mark the offending token in the query text; they
    are -1 and 0 where no single token is at fault.
    """

    code = "bad_query"

    def __init__(self, message: str, hint: str = "", position: int = -1, length: int = 0) -> None:
        super().__init__(message, hint)
        self.position = position
        self.length = length


class QueryTimeout(BadRequest):
    """A read passed its time limit; asked again as it is, it would most likely do so again."""

    code = "query_timeout"


class Unauthenticated(SpanhouseError):
    """No key, or one that is unknown or revoked."""

    code = "unauthenticated"
    http_status = 401


class Forbidden(SpanhouseError):
    """The key is valid but does not open this project or action."""

    code = "forbidden"
    http_status = 403


class NotFound(SpanhouseError):
    """Nothing with that id in this project."""

    code = "not_found"
    http_status = 404


class Conflict(SpanhouseError):
    """The thing exists already, or changed meanwhile."""

    code = "conflict"
    http_status = 409


class LeaseLost(Conflict):
    """Another process has taken over a worker's work; what this one made of it is refused."""

    code = "lease_lost"


class Unavailable(SpanhouseError):
    """Cannot be done now; the same request will work later."""

    code = "unavailable"
    http_status = 503

    def __init__(self, message: str, hint: str = "", retry_after_s: int = 5) -> None:
        super().__init__(message, hint)
        self.retry_after_s = retry_after_s


class SpoolFull(Unavailable):
    """The spool has reached its bound in bytes or age; senders must slow down."""

    code = "spool_full"


class DiskFull(Unavailable):
    """The disk under the data folder has no room left."""

    code = "disk_full"


class StoreUnavailable(Unavailable):
    """The columnar or records store does not answer."""

    code = "store_unavailable"


class StoreError(SpanhouseError):
    """The store refused a statement that should have worked."""

    code = "store_error"


class RowsRefused(StoreError):
    """The store cannot take some of the rows of a block: a value does not fit. No retry will mend that."""

    code = "rows_refused"


class MigrationError(StoreError):
    """A migration failed, or an applied one differs from the file shipped now."""

    code = "migration_error"


class Undelivered(SpanhouseError):
    """A notification did not reach its receiver.

    ``retry`` tells whether trying again may help, ``retry_after_s`` how long the receiver asked to wait (0: nothing
    asked).
    """

    code = "undelivered"
    http_status = 502

    def __init__(self, message: str, hint: str = "", *, retry: bool, retry_after_s: float = 0.0) -> None:
        super().__init__(message, hint)
        self.retry = retry
        self.retry_after_s = retry_after_s
