"""Faults of ClickHouse and its client, in the words of the house.

What decides is whether the same call may work later: then it is ``Unavailable`` and the spool
keeps the data; otherwise the request (or the row) itself is at fault.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from clickhouse_connect.driver.exceptions import ClickHouseError, Error, OperationalError, ProgrammingError

from spanhouse_server.errors import (
    BadRequest,
    DiskFull,
    QueryTimeout,
    RowsRefused,
    SpanhouseError,
    StoreError,
    StoreUnavailable,
)

TIMEOUT_EXCEEDED, TOO_SLOW = 159, 160
TOO_MANY_ROWS, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES = 158, 307, 396
BAD_QUERY_PARAMETER = 457
MEMORY_LIMIT_EXCEEDED = 241
NOT_ENOUGH_SPACE = 243
AUTHENTICATION_FAILED = 516
UNKNOWN_DATABASE = 81

#: Codes after which the very same call may work: network, overload, keeper, restarts.
RETRYABLE = frozenset(
    {
        3,  # UNEXPECTED_END_OF_FILE: the connection broke off
        32,  # ATTEMPT_TO_READ_AFTER_EOF
        198,  # DNS_ERROR
        201,  # QUOTA_EXCEEDED
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        236,  # ABORTED
        242,  # TABLE_IS_READ_ONLY
        252,  # TOO_MANY_PARTS
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        319,  # UNKNOWN_STATUS_OF_INSERT
        364,  # IP_ADDRESS_NOT_ALLOWED
        394,  # QUERY_WAS_CANCELLED
        425,  # SYSTEM_ERROR
        439,  # CANNOT_SCHEDULE_TASK
        497,  # ACCESS_DENIED
        AUTHENTICATION_FAILED,
        692,  # TOO_MANY_MUTATIONS
        999,  # KEEPER_EXCEPTION
    }
)
#: Codes by which an insert says that a row, not the statement, is at fault.
BAD_ROW = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        33,  # CANNOT_READ_ALL_DATA
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        128,  # TOO_LARGE_ARRAY_SIZE
        131,  # TOO_LARGE_STRING_SIZE
        306,  # TOO_DEEP_RECURSION
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        407,  # DECIMAL_OVERFLOW
    }
)
_NO_SPACE = re.compile(r"No space left on device|errno: 28\b|NOT_ENOUGH_SPACE|Disk quota exceeded")
_HTTP_STATUS = re.compile(r"HTTP status (\d{3})")
_NARROW = "narrow the time range or the filter"


@contextmanager
def translated() -> Iterator[None]:
    """Raise what ClickHouse raises as the house's own errors."""
    try:
        yield
    except SpanhouseError:
        raise
    except ClickHouseError as error:
        raise translate(error) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("the disk of the columnar store is full", "free some space") from error
        raise StoreUnavailable("the columnar store cannot be reached", str(error)) from error


@contextmanager
def inserting(table: str) -> Iterator[None]:
    """Raise ``RowsRefused`` where ClickHouse cannot take a row, and its other faults as the house's own."""
    with translated():
        try:
            yield
        except ClickHouseError as error:
            if isinstance(error, Error) and error.code in BAD_ROW:
                raise RowsRefused(f"the table {table} cannot take a row", _first_sentence(str(error))) from error
            raise


def translate(error: ClickHouseError) -> SpanhouseError:
    """Return the house's error for one of ClickHouse's."""
    code = error.code if isinstance(error, Error) else None
    text = _first_sentence(str(error))
    if code == NOT_ENOUGH_SPACE or _NO_SPACE.search(str(error)):
        return DiskFull("the disk of the columnar store is full", "free some space")
    if code in (TIMEOUT_EXCEEDED, TOO_SLOW):
        return past_limit()
    if code in (TOO_MANY_ROWS, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES):
        return BadRequest("the result has more rows than one read may return", _NARROW)
    if code == BAD_QUERY_PARAMETER:
        return BadRequest("a value does not fit the field it is compared with", text)
    if code == MEMORY_LIMIT_EXCEEDED:
        return StoreUnavailable("the columnar store is out of memory", f"{_NARROW}, or raise SPANHOUSE_STORE_MEMORY_MB")
    if code == AUTHENTICATION_FAILED:
        return StoreUnavailable("ClickHouse refuses the user or password", "check SPANHOUSE_STORE_DSN")
    if code in RETRYABLE:
        return StoreUnavailable("the columnar store cannot do this now", text)
    if code is None:
        return _without_code(error, text)
    return StoreError("the columnar store refused a statement", text)


def past_limit() -> QueryTimeout:
    """Return the error for a statement that took longer than it may."""
    return QueryTimeout("the query took longer than SPANHOUSE_QUERY_TIMEOUT_S allows", _NARROW)


def _without_code(error: ClickHouseError, text: str) -> SpanhouseError:
    """Judge a fault that is not ClickHouse's own: transport, proxy, or use of the client."""
    status = _HTTP_STATUS.search(str(error))
    if status:
        return StoreUnavailable(
            f"ClickHouse's address answers with HTTP status {status[1]}", "check SPANHOUSE_STORE_DSN"
        )
    if isinstance(error, OperationalError):
        return StoreUnavailable("ClickHouse does not answer", text)
    if isinstance(error, ProgrammingError) and "has been closed" in str(error):
        return StoreUnavailable("the columnar store is closed")
    return StoreError("the columnar store refused a call", text)


def _first_sentence(message: str) -> str:
    """Return the gist of ClickHouse's message, without SQL text or addresses after it."""
    _, _, rest = message.partition("DB::Exception: ")
    line = " ".join((rest or message).split())
    return line if len(line) <= 300 else line[:297] + "…"
