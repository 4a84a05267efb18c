"""What spans, logs and metric points share: their scope and their times."""

from __future__ import annotations

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.decode.values import attributes
from spanhouse_server.model.raw import Scope

#: Times before the year 2000, or more than a day ahead of us, are kept but flagged.
UNUSUAL_BEFORE_NS = 946_684_800 * NS_PER_S
UNUSUAL_AHEAD_NS = 86_400 * NS_PER_S


def scope_of(scope: InstrumentationScope) -> Scope:
    """Return an instrumentation scope."""
    return Scope(scope.name, scope.version, attributes(scope.attributes))
