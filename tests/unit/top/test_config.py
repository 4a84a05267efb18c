import pytest

from spanhouse_server.config import SETTINGS, Settings
from spanhouse_server.errors import ConfigError


def test_defaults_need_nothing() -> None:
    settings = Settings.load(env={})
    assert settings.on_loopback
    assert not settings.keys_required
    assert settings.columnar_dsn.startswith("chdb:///")
    assert settings.records_url.startswith("sqlite:////")


def test_environment_is_read_and_flags_win() -> None:
    env = {"SPANHOUSE_HTTP_PORT": "8080", "SPANHOUSE_MAX_BODY_MB": "5"}
    settings = Settings.load({"http_port": "9090"}, env)
    assert (settings.http_port, settings.max_body_mb) == (9090, 5)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"SPANHOUSE_HTTP_PORT": "many"}, "SPANHOUSE_HTTP_PORT='many' is not a valid int"),
        ({"SPANHOUSE_HTTP_PORT": "-1"}, "below 0"),
        ({"SPANHOUSE_HTTP_PORT": "99999"}, "above 65535"),
        ({"SPANHOUSE_GRPC_PORT": "70000"}, "above 65535"),
        ({"SPANHOUSE_FSYNC": "maybe"}, "not one of always, off"),
        ({"SPANHOUSE_REQUIRE_KEYS": "perhaps"}, "true or false"),
        ({"SPANHOUSE_ADMIN_KEY": "short"}, "shorter than 16"),
    ],
)
def test_what_cannot_be_meant_is_refused(env: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.load(env=env)
    assert said in caught.value.message


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "my-host"])
def test_no_open_door_without_a_key(host: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.load({"host": host}, {})
    assert "SPANHOUSE_ADMIN_KEY" in caught.value.hint
    settings = Settings.load({"host": host, "admin_key": "k" * 24}, {})
    assert settings.keys_required


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    assert not Settings.load({"host": host}, {}).keys_required


def test_every_setting_has_a_help_and_its_own_name() -> None:
    names = [setting.name for setting in SETTINGS]
    assert len(names) == len(set(names))
    assert all(setting.help.endswith(".") for setting in SETTINGS)
