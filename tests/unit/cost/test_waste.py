"""What counts as wasted, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from spanhouse_server.model.span import Span
from spanhouse_server.query.cost.selection import CostQuery
from spanhouse_server.query.cost.waste import waste
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import NS, T0, Keeper, columnar, hex_id, span


def call(
    trace: str, at_s: float, *, preview: str = "same question", tokens: tuple[int, int] = (50, 5), **more: Any
) -> Span:
    """A call that cost one dollar and took a second."""
    name = more.pop("id", "chat")
    return span(trace, "chat", id=name, start_s=at_s, category="llm", operation="chat", request_model="m", cost="1",
                input_preview=preview, tokens=tokens, **more)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("waste")) as opened:
        yield opened


@pytest.fixture
def found(store: ColumnarStore, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Store the calls of one case in a project of its own; return what was wasted by kind."""
    project = request.node.callspec.id
    Keeper(store).put(*request.param, project=project)
    reply = waste(store, project, CostQuery(Window(T0, T0 + 9000 * NS)))
    assert Decimal(reply["cost_usd"]) == len(request.param)
    assert Decimal(reply["wasted_usd"]) == sum(Decimal(kind["cost_usd"]) for kind in reply["kinds"])
    return {kind["kind"]: kind["requests"] for kind in reply["kinds"]} | {"reply": reply}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([call("a", 0), call("b", 0)], (0, 0, 0), id="other traces"),
        pytest.param([call("c", 0, session_id="s"), call("d", 5, session_id="s")], (0, 1, 0), id="asked again"),
        pytest.param([call("e", 0, id="1"), call("e", 5, id="2"), call("e", 9, id="3")], (0, 2, 0), id="twice again"),
        pytest.param([call("f", 0, id="1"), call("f", 0.5, id="2")], (0, 0, 0), id="side by side"),
        pytest.param([call("g", 0, id="1"), call("g", 200, id="2")], (0, 0, 0), id="much later"),
        pytest.param([call("h", 0, id="1"), call("h", 5, id="2", preview="another")], (0, 0, 0), id="another input"),
        pytest.param([call("i", 0, id="1"), call("i", 5, id="2", tokens=(51, 5))], (0, 0, 0), id="a longer input"),
        pytest.param(
            [call("j", 0, id="1", preview=""), call("j", 5, id="2", preview="")], (0, 0, 0), id="unknown input"
        ),
        pytest.param([call("k", 0, id="1", status_code="error"), call("k", 5, id="2")], (1, 0, 0), id="failed first"),
        pytest.param([call("l", 0, finish_reasons=["length"])], (0, 0, 1), id="length"),
        pytest.param([call("m", 0, finish_reasons=["MAX_TOKENS"])], (0, 0, 1), id="MAX_TOKENS"),
        pytest.param([call("n", 0, finish_reasons=["FinishReason.MAX_TOKENS"])], (0, 0, 1), id="enum"),
        pytest.param([call("o", 0, finish_reasons=["max_output_tokens"])], (0, 0, 1), id="max_output_tokens"),
        pytest.param([call("p", 0, finish_reasons=["stop"])], (0, 0, 0), id="stop"),
        pytest.param(
            [call("q", 0, id="1", finish_reasons=["length"]), call("q", 5, id="2")], (0, 1, 0), id="cut and asked again"
        ),
    ],
    indirect=["found"],
)
def test_kinds(found: dict[str, Any], expected: tuple[int, int, int]) -> None:
    assert (found["errors"], found["retries"], found["cut_off"]) == expected
    assert found["reply"]["share_of_cost"] == sum(expected) / float(found["reply"]["cost_usd"])


def test_the_dearest_examples_and_the_proxys_resends(store: ColumnarStore) -> None:
    dear = call("dear", 0, finish_reasons=["length"])
    dear.cost.total_usd = Decimal("7.5")
    sent = {"http.request.resend_count": 2, "http.request.method": "POST"}
    proxied = call("proxied", 1, attributes=sent, dialect="spanhouse", finish_reasons=["length"])
    Keeper(store).put(dear, proxied, call("plain", 2, attributes={"x": 1}, dialect="spanhouse"), project="ex")
    reply = waste(store, "ex", CostQuery(Window(T0, T0 + 9000 * NS)))
    cut = reply["kinds"][2]
    assert [(each["trace_id"], each["cost_usd"]) for each in cut["examples"]] == [
        (hex_id("dear"), 7.5),
        (hex_id("proxied"), 1.0),
    ]
    assert reply["resends"] == {"requests": 1, "resends": 2, "cost_usd": "1"}
    assert waste(store, "nobody", CostQuery(Window(T0, T0 + NS)))["wasted_usd"] == "0"
