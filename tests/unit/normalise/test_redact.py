"""Secrets never land: by key, by shape, wherever they stand; and nothing else is touched."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_server.model.raw import RawEvent, RawLink
from spanhouse_server.normalise import normalise, redact, redact_log
from spanhouse_server.normalise.redact import REDACTED, is_secret_key, redact_attributes, redact_span, redact_text
from tests.unit.normalise.make import log, raw_span

OPENAI = "sk-proj-" + "aB3d" * 10
ANTHROPIC = "sk-ant-api03-" + "x9Y8" * 12
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlMTIz"
SECRETS = [
    OPENAI,
    ANTHROPIC,
    "AKIA" + "ABCDEFGH12345678",
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2" * 12,
    "AIza" + "a1B2c" * 7,
    "hf_" + "a1B2" * 9,
    "gsk_" + "a1B2" * 12,
    "xoxb-1234567890-abcdef",
    JWT,
    "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize(
    "key",
    [
        "http.request.header.authorization",
        "http.request.header.x-api-key",
        "http.response.header.set-cookie",
        "http.request.header.cookie",
        "openai.api_key",
        "OPENAI_API_KEY",
        "apiKey",
        "db.password",
        "client_secret",
        "aws.secret_access_key",
        "metadata.user_api_key",
        "access_token",
        "proxy-authorization",
        *("www-authenticate", "cookies", "passwd", "passphrase", "secret", "secret_key", "private_key", "token"),
        *("refresh_token", "auth_token", "id_token", "session_token", "security_token", "bearer_token", "api_token"),
        *("access_key", "access_key_id", "credential", "credentials", "x-amz-security-token"),
        *("app_authorization", "app_password", "app_secret", "app_secret_key", "app_private_key", "app_access_token"),
        *("app_refresh_token", "app_auth_token", "app_session_token", "app_api_token", "app_cookie"),
    ],
)
def test_secret_by_key(key: str) -> None:
    assert redact_attributes({key: "anything at all", "other": 1}) == {key: REDACTED, "other": 1}
    assert redact_attributes({key: ["a", "b"]}) == {key: REDACTED}


@pytest.mark.parametrize(
    "key",
    [
        "gen_ai.usage.input_tokens",
        "llm.token_count.prompt",
        "gen_ai.token.type",
        "metadata.user_api_key_hash",
        "metadata.user_api_key_team_id",
        "metadata.user_api_key_end_user_id",
        "session.id",
        "gen_ai.request.max_tokens",
        "secretary",
        "llm.is_streaming",
    ],
)
def test_harmless_key(key: str) -> None:
    assert not is_secret_key(key)


@pytest.mark.parametrize("secret", SECRETS)
def test_secret_by_shape_leaves_no_trace(secret: str) -> None:
    raw = raw_span(
        {"gen_ai.prompt": f"My key is {secret}, keep it.", "nested": [{"deep": [f"x {secret}"]}]},
        events=[RawEvent("exception", 1, {"exception.message": f"bad key {secret}"})],
        resource={"process.command_line": f"app --key {secret}"},
        status_message=f"refused {secret}",
        scope="x",
    )
    raw.links.append(RawLink("1" * 32, "1" * 16, "", {"note": secret}))
    span = normalise(raw)
    fields = {name: getattr(span, name) for name in span.__slots__}
    assert secret not in repr(fields)
    assert "\\n".join(secret.split("\n")) not in repr(fields)
    assert "keep it." in span.raw.attributes["gen_ai.prompt"]
    assert span.input_preview.startswith("My key is [redacted]")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"api_key": "abc", "model": "m"}', '{"api_key": "[redacted]", "model": "m"}'),
        ('{"headers": {"Authorization": "Basic dXNlcjpwYXNz"}}', '{"headers": {"Authorization": "[redacted]"}}'),
        ("{'x-api-key': 'abc'}", "{'x-api-key': '[redacted]'}"),
        ('"{\\"password\\": \\"hunter2\\"}"', '"{\\"password\\": \\"[redacted]\\"}"'),
        ("curl -H 'Authorization: Bearer abcdefghijklmnop1234'", "curl -H 'Authorization: [redacted]'"),
        ("https://host/path?api_key=abc123&x=1", "https://host/path?api_key=[redacted]&x=1"),
    ],
)
def test_secret_inside_text(text: str, left: str) -> None:
    assert redact_text(text) == left
    assert redact_attributes({"a": text}) == {"a": left}


@pytest.mark.parametrize(
    "name",
    [
        *("api_key", "api-key", "apiKey", "apikey", "API_KEY", "openai_api_key", "x-api-key", "authorization"),
        *("password", "client_secret", "secret_access_key", "cookie", "private_key", "private-key"),
        *("access_token", "refresh_token", "auth-token", "session_token", "id_token", "bearer_token", "api_token"),
        *("passwd", "passphrase", "db_password", "set-cookie", "my.secret", "secret_key"),
    ],
)
@pytest.mark.parametrize("case", [str, str.upper])
def test_a_field_in_text_is_found_by_its_name_alone(name: str, case: Callable[[str], str]) -> None:
    name = case(name)
    for text in (f'{{"{name}": "abc"}}', f"{{'{name}': 'abc'}}", f'"{{\\"{name}\\": \\"abc\\"}}"'):
        assert "abc" not in redact_attributes({"a": text})["a"]
    # Within another field's text, beside others, twice, and cut off.
    arguments = (
        f'{{"model": "m", "arguments": "{{\\"{name}\\": \\"abc\\", \\"n\\": \\"b\\"}}", "{name}": "abc", "z": "y"}}'
    )
    left = redact_attributes({"a": arguments})["a"]
    assert left == arguments.replace("abc", REDACTED)
    assert redact_attributes({"a": f'{{"x": "y", "{name}": "ab'})["a"] == f'{{"x": "y", "{name}": "{REDACTED}'


@pytest.mark.parametrize(
    "text",
    [
        "Basic dXNlcjpwYXNzd29yZA==",
        "send it with BEARER abcdefghijklmnop1234",
        "https://account.blob.example/c?sv=2026&sig=abc%2Bdef123&se=1",
        "https://bucket.example/o?X-Goog-Signature=abc&signature=abcdef123456",
        "AUTHORIZATION: abcdefghij",
        "COOKIE: abcdefghij",
    ],
)
def test_secret_in_text_without_any_other_sign(text: str) -> None:
    assert REDACTED in redact_attributes({"a": text})["a"]


def test_text_with_many_fields_is_read_once() -> None:
    """Each field is looked at a bounded number of times, whatever stands before it."""
    text = '{"secret": "x", ' + ", ".join(f'"{"a" * 60}-{number}": "{"b-" * 20}"' for number in range(2000)) + "}"
    assert redact_attributes({"a": text})["a"].startswith('{"secret": "[redacted]", "aaa')


@pytest.mark.parametrize(
    "text",
    [
        "a task-based sk-learn pipeline-for-classification-of-things",
        '{"properties": {"password": {"type": "string"}}, "required": ["password"]}',
        "the secret of good bread is time; the token count is 12",
        '{"usage": {"total_tokens": 12}, "finish_reason": "stop"}',
        "the basic idea of bearer bonds",
        "What does eyJ mean?",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redact_attributes({"a": text}) == {"a": text}


def test_clean_span_is_the_same_object() -> None:
    raw = raw_span({"a": "text", "b": 1, "c": ["x", 1.5], "d": [0.5] * 100}, resource={"service.name": "s"})
    assert redact_span(raw) is raw


@pytest.mark.parametrize(
    "text",
    [
        "{'headers': {'x-cache-key': 'a', 'connection': 'b'}, 'used_client_oauth_token': False}",
        '{"candidates_token_count":3,"thoughts_token_count":4}',
        "a secret of bearer bonds",
    ],
)
def test_a_span_that_only_speaks_of_tokens_is_the_same_object(text: str) -> None:
    raw = raw_span({"a": text, "b": [text]}, events=[RawEvent("e", 1, {"c": {"d": text}})], status_message=text)
    assert redact_span(raw) is raw
    entry = log("gen_ai.user.message", {"content": text})
    assert redact_log(entry) is entry


def test_the_shortest_secret() -> None:
    assert redact_text("&sig=a") == f"&sig={REDACTED}"
    assert redact_span(raw_span({"a": "?key=v", "b": 1})).attributes == {"a": f"?key={REDACTED}", "b": 1}


#: What patterns match, and what nearly does; letters that are equal to others without case.
PIECES = [
    *(OPENAI, ANTHROPIC, JWT, *SECRETS, "xai-" + "a1B2" * 11, "sk_live_" + "a1" * 9, "-----BEGIN PRIVATE KEY-----x"),
    *("Bearer abcdefghijklmnop1234", "BEARER ABCDEFGHIJKLMNOP1", "basic dXNlcjpwYXNzd29yZA==", "?x_token=1", "&sig="),
    *("Cookie: abcdef", "x-api-key=abcd", "AUTHORIZATION : abcd", "COO\u212aIE: abcd", "author\u0131zation=abcd"),
    *(
        '{"api_key": "a"',
        "'pa\u017f\u017fword':'b'",
        '\\"Client_Secret\\": \\"c\\"',
        '"oauth_token": "d"',
        '"monkey":"e"',
    ),
    *(
        "'passwd' : b'f'",
        '"x-auth-token":"',
        "secret",
        "s_token",
        "\n",
        " ",
        '"',
        "'",
        "\\",
        ":",
        ",",
        "a",
        "sk-",
        "eyJ",
    ),
]
_ANY_FIELD = re.compile(r"""(\\*["'])([\w.-]{1,96})\1\s*:\s*b?(\\*["'])""")


def redacted_in_full(text: str) -> str:
    """Return what is left when all patterns are tried one after the other, without a look at words before."""
    text = redact._VALUE.sub(REDACTED, text)
    text = redact._SCHEME.sub(rf"\1 {REDACTED}", text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redact, "_FIELD", _ANY_FIELD)
        text = redact._redact_fields(text)
    text = redact._PAIR.sub(rf"\1\2{REDACTED}", text)
    return redact._QUERY.sub(rf"\1{REDACTED}", text)


@pytest.mark.parametrize("piece", PIECES)
def test_a_pattern_is_tried_where_it_can_match(piece: str) -> None:
    text = f"{piece} secret"  # a word that makes any text worth a closer look
    assert redact_text(text) == redacted_in_full(text)


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_patterns_are_tried_where_they_can_match(text: str) -> None:
    text += " secret"
    assert redact_text(text) == redacted_in_full(text)


def test_a_span_is_redacted_by_its_keys() -> None:
    raw = raw_span({"http.request.header.cookie": "a=b", "n": 1})
    assert redact_span(raw).attributes == {"http.request.header.cookie": REDACTED, "n": 1}
    assert normalise(raw).raw.attributes == {"http.request.header.cookie": REDACTED, "n": 1}


def test_counts_and_flags_under_secret_names_stay() -> None:
    attributes = {"token": 12, "password": True, "secret": "", "body": {"access_token": 5}}
    assert redact_attributes(attributes) == attributes


def test_shared_resource_is_redacted_for_each_span() -> None:
    resource = {"service.name": "s", "api_key": "abc"}
    first, second = redact_span(raw_span(resource=resource)), redact_span(raw_span(resource=resource))
    assert first.resource == second.resource == {"service.name": "s", "api_key": REDACTED}
    assert resource["api_key"] == "abc"


def test_log_body() -> None:
    clean = log("gen_ai.user.message", {"content": "hello"})
    assert redact_log(clean) is clean
    dirty = redact_log(log("gen_ai.user.message", {"content": f"use {OPENAI}", "headers": {"cookie": "a=b"}}))
    assert dirty.body == {"content": "use [redacted]", "headers": {"cookie": REDACTED}}
    span = normalise(raw_span({"gen_ai.system": "openai"}), [log("gen_ai.user.message", {"content": OPENAI})])
    assert OPENAI not in orjson.dumps(span.input_messages).decode() + span.text + span.input_preview


def test_deep_structures_end() -> None:
    value: object = OPENAI
    for _ in range(500):
        value = [value]
    assert OPENAI not in repr(redact_attributes({"a": value}))


@given(secret=st.text(r"""ab"'\ ,:{}""", max_size=12), depth=st.integers(0, 3))
def test_a_secret_with_quotes_in_it_goes_as_a_whole(secret: str, depth: int) -> None:
    told = {"password": f"Q{secret}Z", "user": "ann"}
    text = json.dumps(told)
    for _ in range(depth):
        text = json.dumps({"body": text})
    found = redact_text(text)
    for _ in range(depth):
        found = json.loads(found)["body"]
    assert json.loads(found) == {"password": REDACTED, "user": "ann"}
    assert ast.literal_eval(redact_text(repr(told))) == {"password": REDACTED, "user": "ann"}
