"""Rules as people write them: checked whole, so that what is kept can be evaluated."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace

import orjson

from spanhouse_server.derive.alerts.kinds import KINDS
from spanhouse_server.derive.alerts.kinds.contract import Kind
from spanhouse_server.derive.otel_series import is_otel
from spanhouse_server.derive.series import check_metric
from spanhouse_server.errors import BadQuery, BadRequest
from spanhouse_server.model.alerts import NO_DATA, SEVERITIES, Rule
from spanhouse_server.query.facets import grouping_field
from spanhouse_server.query.filter import parse_filter
from spanhouse_server.query.metrics import MAX_GROUPINGS

__all__ = ["Rule", "checked", "fingerprint_of", "kind_of", "prepared"]

#: Seconds that each time of a rule may take: lowest and highest.
TIMES_S = {
    "window_s": (1, 28 * 86_400),
    "every_s": (10, 86_400),
    "for_s": (0, 7 * 86_400),
    "keep_firing_s": (0, 7 * 86_400),
}
MAX_LABELS = 20
MAX_CHANNELS = 20
MAX_RULE_BYTES = 32 * 1024
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]{0,99}")
#: Labels that every alert gets.
RESERVED = ("alertname", "severity", "project", "type", "metric")


def kind_of(rule: Rule) -> Kind:
    """Return the kind that a rule is of; raise ``BadRequest`` for one there is not."""
    kind = KINDS.get(rule.type)
    if kind is None:
        raise BadRequest(f"type: there is no kind of rule {rule.type[:60]!r}", f"use one of {', '.join(KINDS)}")
    return kind


def prepared(rule: Rule) -> Rule:
    """Return a kept rule with its parameters typed; raise ``BadRequest`` when its kind no longer takes them."""
    return replace(rule, params=kind_of(rule).check(rule.written))


def checked(rule: Rule) -> Rule:
    """Return a rule as it can be kept, its parameters typed; raise ``BadRequest`` naming the field at fault.

    A filter that cannot be read is a ``BadQuery`` with the position in ``q``.
    """
    name = rule.name.strip()
    if not 0 < len(name) <= 200:
        raise BadRequest("name: a rule needs a name of 1 to 200 characters")
    rule = prepared(replace(rule, name=name))
    for field, (lowest, highest) in TIMES_S.items():
        if not lowest <= getattr(rule, field) <= highest:
            raise BadRequest(f"{field} must lie between {lowest} and {highest} seconds")
    if rule.severity not in SEVERITIES:
        raise BadRequest(f"severity must be one of {', '.join(SEVERITIES)}")
    if rule.no_data not in NO_DATA:
        raise BadRequest(f"no_data must be one of {', '.join(NO_DATA)}")
    if len(rule.note) > 2000:
        raise BadRequest("note takes up to 2000 characters")
    _check_metric(rule)
    _check_labels(rule.labels)
    _check_text(rule)
    if len(rule.channels) > MAX_CHANNELS:
        raise BadRequest(f"channels: at most {MAX_CHANNELS}")
    return rule


def _check_metric(rule: Rule) -> None:
    use = getattr(kind_of(rule), "metric_use", "optional")
    if use != "optional" and not rule.metric:
        raise BadRequest(f"metric: a rule of type {rule.type} needs one", "for example requests or duration_ms.p95")
    if len(rule.metric) > 200:
        raise BadRequest("metric takes up to 200 characters")
    if rule.metric and use != "any":
        _named("metric", lambda: check_metric(rule.metric))
    if len(rule.group_by) > MAX_GROUPINGS:
        raise BadRequest(f"group_by: at most {MAX_GROUPINGS} fields")
    if len(set(rule.group_by)) < len(rule.group_by):
        raise BadRequest("group_by names a field twice")
    if is_otel(rule.metric):
        # Its groups are attributes, of which there can be any.
        parse_filter(rule.q)
        return
    for field in rule.group_by:
        _named("group_by", lambda field=field: grouping_field(field))
    parse_filter(rule.q)


def _check_text(rule: Rule) -> None:
    """Refuse what JSON cannot hold: halves of characters, numbers beyond 64 bits, or simply too much."""
    body = [rule.name, rule.metric, rule.q, rule.group_by, dict(rule.written), dict(rule.labels), rule.note]
    try:
        size_bytes = len(orjson.dumps(body))
    except TypeError as error:
        raise BadRequest(f"the rule cannot be kept as JSON: {str(error)[:100]}") from None
    if size_bytes > MAX_RULE_BYTES:
        raise BadRequest(f"the rule is larger than {MAX_RULE_BYTES} bytes")


def _named(field: str, check: object) -> None:
    try:
        check()  # type: ignore[operator]
    except BadQuery as error:
        raise BadRequest(f"{field}: {error.message}", error.hint) from None


def _check_labels(labels: Mapping[str, str]) -> None:
    if len(labels) > MAX_LABELS:
        raise BadRequest(f"labels: at most {MAX_LABELS}")
    for name, value in labels.items():
        if not _LABEL.fullmatch(name):
            raise BadRequest(f"labels: {name[:60]!r} is no name of a label", "use letters, digits, _ . and -")
        if name in RESERVED:
            raise BadRequest(f"labels: {name} is set by Spanhouse", "choose another name")
        if len(value) > 500:
            raise BadRequest(f"labels: the value of {name} has more than 500 characters")


def fingerprint_of(rule_id: str, labels: Mapping[str, str]) -> str:
    """Return what identifies an alert of a rule: 16 hex digits of its sorted labels."""
    text = orjson.dumps([rule_id, sorted(labels.items())])
    return hashlib.sha256(text).hexdigest()[:16]
