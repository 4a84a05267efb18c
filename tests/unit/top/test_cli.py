import pytest

from spanhouse_server import __version__, cli


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version"]) == 0
    assert capsys.readouterr().out == f"spanhouse {__version__}\n"


def test_no_command_shows_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([])
    assert caught.value.code == 2
    assert "required: command" in capsys.readouterr().err


def test_wrong_setting_is_one_clear_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--http-port", "many"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("spanhouse: --http-port='many' is not a valid int")
    assert "Traceback" not in said


def test_refuses_an_open_door(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPANHOUSE_ADMIN_KEY", raising=False)
    assert cli.main(["serve", "--host", "0.0.0.0"]) == 1
    assert "SPANHOUSE_ADMIN_KEY" in capsys.readouterr().err
