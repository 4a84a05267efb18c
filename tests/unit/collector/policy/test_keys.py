"""Stored keys: sealed, bound to hosts and tenants, and shown nowhere."""

import base64
import logging
import pickle
import sqlite3
from contextlib import closing

import pytest

from spanhouse_collector.policy.database import fault_of, open_database
from spanhouse_collector.policy.errors import KeyNotForHost, MalformedPolicy, PolicyStoreError, UnknownKey
from spanhouse_collector.policy.keys import PREFIX, Vault, master_key, swap_header, swap_query
from spanhouse_collector.policy.origins import origin

REAL = "sk-proj-thereal0123456789abcdefKEY"
MASTER = bytes(range(32))
HOME = "https://api.openai.com/v1/chat/completions"


@pytest.fixture
def vault(tmp_path):
    vault = Vault(tmp_path / "keys.db", MASTER)
    yield vault
    vault.close()


def test_a_virtual_key_opens_the_real_one_for_its_host(vault) -> None:
    virtual, stored = vault.add("t", "team", REAL, ["api.openai.com"])
    assert virtual.startswith(PREFIX)
    assert stored.origins == ("https://api.openai.com:443",)
    assert vault.resolve(virtual, HOME).reveal() == REAL
    assert vault.resolve(virtual, "wss://API.openai.com./v1/realtime", "t").reveal() == REAL


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com.evil.example/", "https://evil.example/api.openai.com", "http://api.openai.com/",
        "https://api.openai.com:8443/", "https://xapi.openai.com/", "https://openai.com/", "https://evil.example/?api.openai.com",
    ],
)  # fmt: skip
def test_it_opens_for_no_other_host(vault, url) -> None:
    virtual, _ = vault.add("t", "team", REAL, ["api.openai.com"])
    with pytest.raises(KeyNotForHost) as caught:
        vault.resolve(virtual, url)
    assert REAL not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize(
    "url", ["https://api.openai.com@evil.example/", "https://api.openai.com\\@evil.example/", "nonsense"]
)
def test_urls_that_are_read_in_two_ways_are_refused(vault, url) -> None:
    virtual, _ = vault.add("t", "team", REAL, ["api.openai.com"])
    with pytest.raises(MalformedPolicy):
        vault.resolve(virtual, url)


def test_another_tenants_key_is_unknown(vault) -> None:
    virtual, stored = vault.add("t", "team", REAL, ["api.openai.com"])
    with pytest.raises(UnknownKey):
        vault.resolve(virtual, HOME, "other")
    assert not vault.revoke(stored.key_id, "other")
    assert vault.list("other") == []
    assert vault.list("t") == [stored]
    assert vault.tenant_of(virtual) == "t"


def test_an_unknown_key_is_refused(vault) -> None:
    virtual, _ = vault.add("t", "team", REAL, ["api.openai.com"])
    for wrong in (virtual + "x", virtual[:-1], PREFIX, "\udcff"):
        with pytest.raises(UnknownKey):
            vault.resolve(wrong, HOME)


def test_a_revoked_key_is_wiped(vault, tmp_path) -> None:
    virtual, stored = vault.add("t", "team", REAL, ["api.openai.com"])
    assert vault.revoke(stored.key_id, "t")
    assert not vault.revoke(stored.key_id, "t")
    with pytest.raises(UnknownKey):
        vault.resolve(virtual, HOME)
    ((sealed,),) = sqlite3.connect(tmp_path / "keys.db").execute("SELECT sealed FROM provider_keys")
    assert sealed == b""


def test_neither_key_lies_in_the_file(vault, tmp_path) -> None:
    virtual, _ = vault.add("t", "team", REAL, ["api.openai.com"])
    vault.close()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert REAL.encode() not in content
    assert virtual.encode() not in content
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


def test_the_bound_hosts_cannot_be_changed_in_the_file(vault, tmp_path) -> None:
    virtual, _ = vault.add("t", "team", REAL, ["api.openai.com"])
    outside = sqlite3.connect(tmp_path / "keys.db", isolation_level=None)
    outside.execute("""UPDATE provider_keys SET origins = '["https://evil.example:443"]'""")
    assert vault.changed()
    assert not vault.changed()
    vault.reload()
    with pytest.raises(UnknownKey, match="cannot be decrypted"):
        vault.resolve(virtual, "https://evil.example/")
    outside.close()


def test_the_tenant_cannot_be_changed_in_the_file(vault, tmp_path) -> None:
    virtual, _ = vault.add("t", "team", REAL, ["api.openai.com"])
    outside = sqlite3.connect(tmp_path / "keys.db", isolation_level=None)
    outside.execute("UPDATE provider_keys SET tenant = 'mallory'")
    outside.close()
    vault.reload()
    with pytest.raises(UnknownKey, match="cannot be decrypted"):
        vault.resolve(virtual, HOME, "mallory")


def test_another_master_key_opens_nothing(vault, tmp_path) -> None:
    virtual, _ = vault.add("t", "team", REAL, ["api.openai.com"])
    other = Vault(tmp_path / "keys.db", bytes(32))
    with pytest.raises(UnknownKey, match="master key"):
        other.resolve(virtual, HOME)
    other.close()


def test_keys_outlive_the_process(vault, tmp_path) -> None:
    virtual, stored = vault.add("t", "team", REAL, ["api.openai.com", "http://127.0.0.1:9000/v1"])
    again = Vault(tmp_path / "keys.db", MASTER)
    assert again.list() == [stored]
    assert again.resolve(virtual, "http://127.0.0.1:9000/x").reveal() == REAL
    again.close()


def test_a_secret_shows_itself_nowhere(vault, caplog) -> None:
    virtual, stored = vault.add("t", "team", REAL, ["api.openai.com"])
    secret = vault.resolve(virtual, HOME)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").warning("%s %r %s %r", secret, [secret], vault, stored)
    assert REAL not in caplog.text
    assert "thereal" not in caplog.text
    with pytest.raises(TypeError):
        pickle.dumps(secret)


@pytest.mark.parametrize("real", ["", "  ", "with\nnewline", "a" * 9000, PREFIX + "x", "schlüssel"])
def test_what_is_no_provider_key_is_refused(vault, real) -> None:
    with pytest.raises(MalformedPolicy):
        vault.add("t", "n", real, ["api.openai.com"])


@pytest.mark.parametrize("urls", [[], ["ftp://x"], ["https://"], ["*.openai.azure.com:x"], ["h"] * 33])
def test_hosts_must_be_hosts(vault, urls) -> None:
    with pytest.raises((MalformedPolicy, ValueError)):
        vault.add("t", "n", REAL, urls)


def test_short_keys_show_no_ending(vault) -> None:
    assert vault.add("t", "n", "short", ["h.example"])[1].ending == ""
    assert vault.add("t", "n", REAL, ["h.example"])[1].ending == "fKEY"


def test_headers_and_queries_are_swapped_in_place(vault) -> None:
    virtual, _ = vault.add("t", "team", REAL, ["api.openai.com"])

    def exchange(token):
        return vault.resolve(token, HOME).reveal()

    assert swap_header(f"Bearer {virtual}", exchange) == f"Bearer {REAL}"
    assert swap_header(virtual, exchange) == REAL
    assert swap_header("Bearer sk-other", exchange) == "Bearer sk-other"
    assert swap_query(f"alt=sse&key={virtual}&a", exchange) == f"alt=sse&key={REAL}&a"
    with pytest.raises(UnknownKey):
        swap_header(f"Bearer {PREFIX}unheard-of", exchange)


def test_the_master_key_file_is_made_private_and_kept(tmp_path) -> None:
    path = tmp_path / "sub" / "master.key"
    first = master_key(path)
    assert len(first) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert master_key(path) == first
    path.chmod(0o644)
    with pytest.raises(PolicyStoreError, match="chmod 600"):
        master_key(path)


def test_the_master_key_of_the_environment_comes_first(tmp_path) -> None:
    path = tmp_path / "master.key"
    assert master_key(path, base64.b64encode(MASTER).decode()) == MASTER
    assert not path.exists()
    for wrong in ("x", "ä", base64.b64encode(b"short").decode()):
        with pytest.raises(PolicyStoreError, match="base64"):
            master_key(path, wrong)


def test_a_master_key_that_cannot_be_made_is_a_clear_error(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PolicyStoreError, match="cannot be"):
        master_key(tmp_path / "file" / "master.key")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Api.Example.com./x", "https://api.example.com:443"),
        ("ws://[::1]:80/", "http://[::1]:80"),
        ("http://h:8080", "http://h:8080"),
    ],
)
def test_origins_have_one_spelling(url, expected) -> None:
    assert origin(url) == expected


def test_what_is_wrong_with_a_file_is_told_as_it_is(tmp_path) -> None:
    def said(path, statement: str) -> str:
        with closing(sqlite3.connect(path, timeout=0)) as connection, pytest.raises(sqlite3.Error) as wrong:
            connection.execute(statement)
        return fault_of(wrong.value)

    held, garbage = tmp_path / "held.db", tmp_path / "garbage.db"
    garbage.write_bytes(b"broken" * 1000)
    with closing(sqlite3.connect(held, isolation_level=None)) as owner:
        owner.execute("CREATE TABLE t (x)")
        owner.execute("BEGIN EXCLUSIVE")
        assert said(held, "SELECT * FROM t") == "is locked by another process"
    assert said(garbage, "SELECT * FROM t") == "is damaged"
    assert said(held, "SELECT * FROM absent") == "has a fault (SQLITE_ERROR)"
    with pytest.raises(PolicyStoreError) as refused:
        open_database(garbage)
    assert fault_of(refused.value) == "cannot be opened"
