"""Warnings about control headers."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_collector.proxy.control import MAX_WARNINGS, warnings_for
from spanhouse_collector.proxy.headers import sort_out


def warnings(**headers: str) -> list[str]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return [text.decode() for name, text in warnings_for(raw, sort_out(raw).own) if name == b"spanhouse-warning"]


def test_nothing_to_say() -> None:
    assert warnings(authorization="x", content_type="y") == []
    assert not warnings(
        spanhouse_omit_request="TRUE", spanhouse_session_id="s", spanhouse_property_App="a", spanhouse_auth="k",
        spanhouse_cache_enabled="true", spanhouse_tags="a,b", helicone_moderations_enabled="true",
    )  # fmt: skip


def test_each_is_told() -> None:
    assert warnings(spanhouse_omit_request="yes") == [
        "Spanhouse-Omit-Request is neither true nor false: the request is left out of the record"
    ]
    assert warnings(helicone_stream_usage="1") == ["Spanhouse-Stream-Usage is neither true nor false: it is ignored"]
    assert warnings(spanhouse_omit_requests="true") == ["Spanhouse-Omit-Requests is no header of this proxy"]
    assert warnings(x_spanhouse_user_id="u" * 2000) == ["Spanhouse-User-Id is cut to 1024 characters"]
    assert warnings(spanhouse_tags=",".join(f"t{i}" for i in range(70))) == ["70 tags were sent, 64 are kept"]
    assert warnings(**{f"spanhouse_property_p{i}": "x" for i in range(65)}) == ["65 properties were sent, 64 are kept"]


NAMES = st.binary(min_size=1, max_size=20).map(lambda tail: b"spanhouse-" + tail)


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, st.binary(max_size=50)), max_size=20))
def test_whatever_is_sent_the_answer_stays_a_header(headers: list[tuple[bytes, bytes]]) -> None:
    told = warnings_for(headers, sort_out(headers).own)
    assert len(told) <= MAX_WARNINGS
    assert all(re.fullmatch(rb"[\x20-\x7e]+", value) for _, value in told)
