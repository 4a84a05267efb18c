"""Rules in YAML files: faults are told by file, line and field."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanhouse_server.alerts_command import apply
from spanhouse_server.config import Settings
from spanhouse_server.derive.alerts.rule_files import read_rules
from spanhouse_server.errors import BadRequest

GOOD = "rules:\n  - name: Busy\n    type: threshold\n    metric: requests\n    params:\n      above: 5\n"
CHANNEL = "channels:\n  - name: ops\n    type: slack\n    secrets:\n      url: {env: OPS_URL}\n"
ENVIRONMENT = {"OPS_URL": "https://hooks.example.com/T0/hush-hush", "BAD_URL": "hush-hush"}


def faults(tmp_path: Path, *texts: str) -> list[str]:
    """Return what applying files says; with a fault the stores are never opened."""
    files = []
    for number, text in enumerate(texts):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        files.append(str(file))
    said: list[str] = []
    store = Settings.load({"data_dir": tmp_path / "none"}, env={})
    assert apply(store, files, "", "", prune=True, dry_run=False, say=said.append, environment=ENVIRONMENT) is False
    assert not any("hush-hush" in line for line in said)
    assert not (tmp_path / "none").exists()
    return [line.removeprefix(f"{tmp_path}/") for line in said]


def test_rules_are_read_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("# head\n" + GOOD + "  - {name: B, type: no_data}\n")
    first, second = read_rules(file)
    assert first.fields == {"name": "Busy", "type": "threshold", "metric": "requests", "params": {"above": 5}}
    assert (first.line, first.lines["metric"], first.lines["params.above"], second.line) == (3, 5, 7, 8)
    assert first.at_fault("params.above is odd") == f"{file}:7: params.above is odd"
    assert first.at_fault("Odd!") == f"{file}:3: Odd!"
    file.write_text(GOOD.replace("rules:\n", ""))
    assert len(read_rules(file)) == 1
    file.write_text("")
    assert read_rules(file) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD.replace("above: 5", "abvoe: 5"), "0.yaml:6: params.abvoe is no parameter"),
        (GOOD.replace("above: 5", "above: x"), "0.yaml:6: params.above must be a number"),
        (GOOD.replace("requests", "reqests"), "0.yaml:4: metric: there is no metric 'reqests'"),
        (GOOD.replace("threshold", "treshold"), "0.yaml:3: type: there is no kind of rule 'treshold'"),
        (GOOD + "    window: 5\n", "0.yaml:7: window: there is no such field; did you mean window_s?"),
        (GOOD + "    colour: 5\n", "0.yaml:7: colour: there is no such field; there are channels, enabled, every_s, for_s,"),
        (GOOD + "    every_s: often\n", "0.yaml:7: every_s: must be a whole number"),
        (GOOD + "    q: 'model:'\n", "0.yaml:"), (GOOD + "    name: Twice\n", "0.yaml:7: 'name' is given twice"),
        (CHANNEL.replace("{env: OPS_URL}", "https://x.example/secret"), "0.yaml:5: secrets.url: secrets are not written"),
        (CHANNEL.replace("{env: OPS_URL}", "{env: NOT_SET}"), "0.yaml:5: secrets.url: the environment variable NOT_SET"),
        (CHANNEL.replace("{env: OPS_URL}", "{env: 'A B'}"), "0.yaml:5: secrets.url: secrets are not written"),
        (CHANNEL.replace("{env: OPS_URL}", "{env: BAD_URL}"), "0.yaml:5: secrets.url must be an address"),
        (CHANNEL.replace("url:", "urll:"), "0.yaml:2: secrets.url is missing"),
        (CHANNEL.replace("type: slack", "type: slck"), "0.yaml:3: type: there is no type of channel"),
        (CHANNEL + "    options: {chanel: x}\n", "0.yaml:6: options.chanel is unknown"),
        (CHANNEL + "    group_wait_s: 4000\n", "0.yaml:6: group_wait_s: must be less than"),
        (CHANNEL + "    secrets: 5\n", "0.yaml:6: 'secrets' is given twice"),
        ("channels: [{name: x, type: slack, secrets: 5}]\n", "0.yaml:1: secrets: must be a mapping"),
        (CHANNEL + CHANNEL.replace("channels:\n", ""), "0.yaml:6: name: 'ops' is at"),
        (GOOD + "  - 5\n", "0.yaml:7: a rule is a mapping"), ("rules: 5\n", "0.yaml:1: there is no list of rules"),
        ("rulez: []\n", "0.yaml:1: 'rulez' is unknown"), ("? [a]\n: []\n", "0.yaml:1: "),
        (GOOD + "rules: []\n", "0.yaml:7: 'rules' is given twice"), ("5\n", "0.yaml:1: there is no list"), ("a: [\n", "0.yaml:2:"),
        ("rules: [{name: !!python/object:os.system []}]\n", "0.yaml:1: could not"), ("--- 1\n--- 2\n", "0.yaml:2"),
        (GOOD.replace("Busy", '"\\ud800"'), "0.yaml:2:"), ("rules: [{1: 2}]\n", "0.yaml:1: names of fields"),
        (GOOD + GOOD.replace("rules:\n", ""), "0.yaml:7: name: 'Busy' is at"),
        ("rules:\n  - &a {name: x, labels: *a}\n", "0.yaml:"),
    ],
)  # fmt: skip
def test_faults_name_file_line_and_field(tmp_path: Path, text: str, expected: str) -> None:
    said = faults(tmp_path, text)
    assert said[0].startswith(expected), said
    assert said[-1].endswith("nothing was changed")


def test_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    said = faults(tmp_path, GOOD.replace("5", "x"), GOOD, GOOD.replace("metric", "metrik"))
    assert [line.partition(":")[0] for line in said[:-1]] == ["0.yaml", "2.yaml"]
    assert faults(tmp_path, GOOD, GOOD)[0].startswith("1.yaml:2: name: 'Busy' is at")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for bad in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(BadRequest):
            read_rules(bad)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"rules: \xe9")
    with pytest.raises(BadRequest, match="UTF-8"):
        read_rules(latin)
    latin.write_text("#" * 1_100_000)
    with pytest.raises(BadRequest, match="larger"):
        read_rules(latin)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=60), st.text(alphabet="rules:- {}[]&*!'\"\n\tnametyp5", max_size=60)))
def test_any_text_is_read_or_refused(tmp_path: Path, text: Any) -> None:
    file = tmp_path / "fuzz.yaml"
    for written in (text, "rules:\n  - " + text, "rules:\n  - name: " + text):
        file.write_bytes(written.encode("utf-8", "surrogatepass"))
        with suppress(BadRequest):
            assert isinstance(read_rules(file), list)
