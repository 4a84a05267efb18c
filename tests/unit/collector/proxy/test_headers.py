import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_collector.proxy.headers import (
    call_context,
    is_secret,
    read_bool,
    recordable,
    redact_query,
    response_headers,
    sort_out,
)

NAMES = st.from_regex(rb"[a-z][a-z0-9_-]{0,20}", fullmatch=True)
VALUES = st.binary(max_size=30).filter(lambda value: not any(byte < 32 or byte == 127 for byte in value))


@given(st.lists(st.tuples(NAMES, VALUES), max_size=12))
def test_unknown_headers_pass_in_order_and_ours_never(headers) -> None:
    sent = [("x-" + name.decode("latin-1")).encode() for name, _ in headers]
    mixed = [(name, value) for name, (_, value) in zip(sent, headers, strict=True)]
    ours = [(b"spanhouse-" + name, value) for name, value in headers]
    head = sort_out([each for pair in zip(ours, mixed, strict=True) for each in pair])
    passing = [(name, value) for name, value in mixed if not name.startswith(b"x-spanhouse-")]
    assert b"".join(head.wire) == b"".join(b"%s: %s\r\n" % each for each in passing)
    assert b"spanhouse-" not in b"".join(part for part in head.wire if part in {name for name, _ in ours})


def test_host_and_traceparent_are_filled_in_where_they_stood() -> None:
    head = sort_out([(b"a", b"1"), (b"host", b"here"), (b"traceparent", b"old"), (b"b", b"2")])
    head.address(b"there", b"new")
    assert b"".join(head.wire) == b"a: 1\r\nhost: there\r\ntraceparent: new\r\nb: 2\r\n"
    bare = sort_out([(b"a", b"1")])
    bare.address(b"there", b"new")
    assert b"".join(bare.wire) == b"a: 1\r\nhost: there\r\n"


def test_an_alias_does_not_replace_the_real_header() -> None:
    for order in (1, -1):
        pairs = [(b"spanhouse-user-id", b"real"), (b"helicone-user-id", b"alias")][::order]
        assert sort_out(pairs).own == {"user-id": "real"}


def test_trailers_are_asked_for_as_one_connection_asks() -> None:
    assert b"".join(sort_out([(b"te", b"trailers, deflate"), (b"connection", b"TE")]).wire) == (
        b"te: trailers\r\nconnection: te\r\n"
    )


@pytest.mark.parametrize("name", [
    "authorization", "proxy-authorization", "x-api-key", "api-key", "cookie", "set-cookie", "x-goog-api-key",
    "x-amz-security-token", "openai-api-key", "x-auth-token", "sec-websocket-protocol", "key", "sig", "X-Amz-Signature",
    "access_token", "client_secret", "x-vault-password",
])  # fmt: skip
def test_credentials_are_known_by_name(name: str) -> None:
    assert is_secret(name)
    assert recordable([(name.encode(), b"v"), (b"x-kept", b"v")]) == [("x-kept", "v")]


@pytest.mark.parametrize(
    "name",
    ["anthropic-ratelimit-tokens-limit", "x-ratelimit-remaining-tokens", "session_id", "max_tokens", "user-agent"],
)
def test_what_only_sounds_like_credentials_is_kept(name: str) -> None:
    assert not is_secret(name)


def test_queries_are_redacted_by_name() -> None:
    assert redact_query("alt=sse&key=AIza1&%6Bey=AIza2&a") == "alt=sse&key=[redacted]&%6Bey=[redacted]&a"
    assert redact_query("") == ""


@given(st.text(max_size=60))
def test_redacting_never_fails_and_keeps_no_key(tail: str) -> None:
    assert "AIzaSecret" not in redact_query(f"key=AIzaSecret&{tail.replace('AIzaSecret', '')}")


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("FALSE", False), ("1", None), ("yes", None), (None, None)]
)
def test_booleans_are_strict(text, value) -> None:
    assert read_bool(text) is value


def test_context_of_ours_and_of_clients() -> None:
    context = call_context(
        {"user-id": "u", "property-team": "search", "tags": "a, b,,", "prompt-id": "p", "prompt-version": "3"},
        [("x-session-id", "late"), ("session_id", "codex")],
    )
    assert (context.session_id, context.user_id, context.tags) == ("codex", "u", ("a", "b"))
    assert (dict(context.properties), context.prompt_name, context.prompt_version) == ({"team": "search"}, "p", "3")
    assert call_context({"session-id": "ours"}, [("session_id", "codex")]).session_id == "ours"


@pytest.mark.parametrize(("text", "omitted"), [("true", True), ("false", False), ("maybe", True), ("", True)])
def test_content_is_left_out_when_in_doubt(text: str, omitted: bool) -> None:
    assert call_context({"omit-request": text}, []).omit_request is omitted
    assert not call_context({}, []).omit_request


def test_answers_lose_only_what_belongs_to_the_connection() -> None:
    headers = [(b"Connection", b"close"), (b"Transfer-Encoding", b"chunked"), (b"X-A", b"1"), (b"Content-Length", b"4")]
    assert response_headers(headers, 200) == [(b"x-a", b"1"), (b"content-length", b"4")]
    assert response_headers(headers, 304) == [(b"x-a", b"1")]
