"""Stored spans made anew, over a real store: what changes, what stays, and where a cut-off run goes on."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from spanhouse_server import price
from spanhouse_server.clock import MonotonicStamps
from spanhouse_server.drain.settle import settle_traces
from spanhouse_server.drain.transform import priced_span
from spanhouse_server.errors import NotFound
from spanhouse_server.model.prices import NO_PRICES, OwnPrice, PriceBook
from spanhouse_server.normalise import MAPPER_VERSION, is_genai_log
from spanhouse_server.query.blobs import blob_bytes
from spanhouse_server.query.span import span_detail
from spanhouse_server.remake import Remake, Totals, run
from spanhouse_server.store import rows
from spanhouse_server.store.contract import ColumnarStore, RecordsStore
from spanhouse_server.store.own_prices import book_of
from tests.golden.case import records as recorded
from tests.samples_media import address, b64, png, uri
from tests.stored import NS, T0, columnar
from tests.templates import new_records
from tests.unit.normalise.make import log as genai_log
from tests.unit.normalise.make import raw_span

STAMPS = MonotonicStamps()
COUNT = iter(range(1, 1_000_000))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("columnar")) as opened:
        yield opened


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[RecordsStore]:
    opened = new_records(tmp_path / "records.db")
    yield opened
    opened.close()


@pytest.fixture
def project() -> str:
    """Give a project of its own to each test: they share the store."""
    return f"p{next(COUNT)}"


def call(trace: int, span: int = 1, parent: int = 0, start_s: int = 0, **more: Any):
    """Return a raw span of a model call of 1000 and 500 tokens."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 500,
    }
    raw = raw_span(attributes | more)
    raw.trace_id, raw.span_id = f"{trace:032x}", f"{span:016x}"
    raw.parent_span_id = f"{parent:016x}" if parent else ""
    raw.start_ns, raw.end_ns = T0 + start_s * NS, T0 + (start_s + 1) * NS
    return raw


def put(store: ColumnarStore, project: str, *raws: Any, book: PriceBook = NO_PRICES, **tampered: Any) -> None:
    """Store raw spans as the drain does, with some columns as an older version would have left them."""
    made = [
        rows.span_row(project, T0, 30_000, priced_span(raw, own=price.own_prices(book, project))) | tampered
        for raw in raws
    ]
    store.insert("spans", rows.lines(made))
    settle_traces(store, {(project, raw.trace_id) for raw in raws}, STAMPS.next_ns())


def go(store: ColumnarStore, kept: RecordsStore, project: str, kind: str = "remap", **more: Any) -> Totals:
    totals, stopping = Totals(), more.pop("stopping", threading.Event())
    turn = more.pop("turn", lambda: nullcontext(STAMPS.next_ns()))
    Remake(kind, project, more.get("since_ns", 0), store, kept, more.get("book", NO_PRICES), turn).run(totals, stopping)
    return totals


def costs(store: ColumnarStore, project: str) -> list[Decimal | None]:
    found = store.select(
        "SELECT cost_usd FROM traces FINAL WHERE project_id = {project:String} ORDER BY trace_id", {"project": project}
    )
    return [row["cost_usd"] for row in found]


def own(project: str, usd: str, model: str = "gpt-4o", **more: Any) -> PriceBook:
    rates = {"input_usd_per_mtok": Decimal(usd), "output_usd_per_mtok": Decimal(usd)}
    return book_of([OwnPrice(id="a", project_id=project, model=model, rates=rates, **more)])


@pytest.mark.parametrize(
    "case",
    [
        "openinference_langchain_agent",
        "openinference_anthropic_thinking",
        "openllmetry_old_openai_tools",
        "openai_v2_events_tools",
        "genai_openai_vision",
        "genai_openai_error",
        "anthropic_sdk_tools",
    ],
)
def test_what_real_instrumentations_sent_reads_the_same_again(store, kept, project, case):
    raws, logs = recorded(case)
    mine = {raw.span_id: [log for log in logs if log.span_id == raw.span_id and is_genai_log(log)] for raw in raws}
    spans = [priced_span(raw, mine[raw.span_id]) for raw in raws]
    store.insert("spans", rows.lines([rows.span_row(project, T0, 0, span) for span in spans]))
    store.insert("logs", rows.lines([rows.log_row(project, T0, 0, log, is_genai_log(log)) for log in logs]))
    settle_traces(store, {(project, raw.trace_id) for raw in raws}, STAMPS.next_ns())
    for kind in ("remap", "reprice"):
        totals = go(store, kept, project, kind)
        assert (totals.spans, totals.changed) == (len(spans), 0)


def test_remap_mends_what_an_older_mapping_wrote_and_the_trace_with_it(store, kept, project):
    put(store, project, call(1), category="other", mapper_version=0, input_tokens=None, output_tokens=None,
        cost_usd=None, cost_input_usd=None, cost_output_usd=None, cost_status="")  # fmt: skip
    put(store, project, call(2))
    assert costs(store, project) == [None, Decimal("0.0075")]
    first, second = go(store, kept, project), go(store, kept, project)
    assert (first.traces, first.spans, first.changed) == (2, 2, 1)
    assert (second.spans, second.changed) == (2, 0)
    assert costs(store, project) == [Decimal("0.0075")] * 2
    [row] = store.select(
        "SELECT category, mapper_version, version, arrival_ns, retention_days FROM spans FINAL"
        " WHERE project_id = {p:String} AND trace_id = {t:String}",
        {"p": project, "t": f"{1:032x}"},
    )
    assert (row["category"], row["version"], row["arrival_ns"], row["retention_days"]) == ("llm", T0 + 1, T0, 30_000)
    assert row["mapper_version"] > 0


def test_an_inferred_error_is_not_taken_for_the_senders_word(store, kept, project):
    failed = call(1, **{"error.type": "RateLimitError"})
    put(store, project, failed)
    assert go(store, kept, project).changed == 0
    put(store, project, failed, version=T0 + 5, error_type="Other")
    assert go(store, kept, project).changed == 1
    [row] = store.select(
        "SELECT status_code, error_type, flags FROM spans FINAL WHERE project_id = {p:String}", {"p": project}
    )
    assert row == {"status_code": "error", "error_type": "RateLimitError", "flags": ["status_inferred"]}


def test_reprice_follows_own_prices_and_back(store, kept, project):
    put(store, project, call(1), call(1, 2, 1, **{"gen_ai.request.model": "gpt-4o-mini"}), call(2, start_s=100))
    listed = costs(store, project)
    first = go(store, kept, project, "reprice", book=own(project, "2"))
    assert (first.spans, first.changed) == (3, 2)
    again = go(store, kept, project, "reprice", book=own(project, "2"))
    assert again.changed == 0
    # The outer call wraps the inner one, which counts; its price did not change.
    assert costs(store, project) == [listed[0], Decimal("0.003")]
    assert go(store, kept, project, "reprice").changed == 2
    assert costs(store, project) == listed


def test_reprice_leaves_the_mapping_alone(store, kept, project):
    put(store, project, call(1), operation="as it was")
    assert go(store, kept, project, "reprice", book=own(project, "2")).changed == 1
    [row] = store.select(
        "SELECT operation, cost_source, cost_reason, attributes FROM spans FINAL WHERE project_id = {p:String}",
        {"p": project},
    )
    assert (row["operation"], row["cost_source"], row["cost_reason"]) == ("as it was", "own:a", "")
    assert "gen_ai.request.model" in row["attributes"]


def test_only_the_project_and_the_time_asked_for(store, kept, project):
    put(store, project, call(1), call(2, start_s=100))
    put(store, project + "-other", call(1))
    book = own(project, "2")
    assert go(store, kept, project, "reprice", book=book, since_ns=T0 + 50 * NS).changed == 1
    assert costs(store, project) == [Decimal("0.0075"), Decimal("0.003")]
    assert costs(store, project + "-other") == [Decimal("0.0075")]


def test_a_project_with_the_same_ids_is_not_read(store, kept, project):
    more = {"gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 7}
    for name, each in ((project + "-a", more), (project, {}), (project + "-b", more)):
        put(store, name, call(1, **each), call(2, **each))
    put(store, project + "-a", call(1, span=9))
    done = go(store, kept, project, "reprice", book=own(project, "2"))
    assert (done.spans, done.changed) == (2, 2)
    assert costs(store, project) == [Decimal("0.003"), Decimal("0.003")]


def test_a_large_trace_is_read_page_by_page(store, kept, project, monkeypatch):
    monkeypatch.setattr(run, "PAGE_SPANS", 3)
    put(store, project, *(call(1, number, start_s=number) for number in range(1, 9)), category="other")
    totals = go(store, kept, project)
    assert (totals.traces, totals.spans, totals.changed) == (1, 8, 8)


def test_a_run_cut_off_goes_on_where_it_was(store, kept, project, monkeypatch):
    monkeypatch.setattr(run, "STEP_TRACES", 1)
    put(store, project, *(call(number, start_s=number) for number in range(1, 6)))
    stopping, turns = threading.Event(), []

    def turn():
        turns.append(1)
        if len(turns) == 2:
            stopping.set()
        return nullcontext(STAMPS.next_ns())

    book = own(project, "2")
    assert go(store, kept, project, "reprice", book=book, turn=turn, stopping=stopping).traces == 2
    assert go(store, kept, project, "reprice", book=book).traces == 3
    assert costs(store, project) == [Decimal("0.003")] * 5
    # That one came to its end, so the next begins anew; and so does one with other prices.
    assert go(store, kept, project, "reprice", book=book).traces == 5
    stopping.clear()
    turns.clear()
    go(store, kept, project, "reprice", book=book, turn=turn, stopping=stopping)
    assert go(store, kept, project, "reprice", book=own(project, "3")).traces == 5
    assert costs(store, project) == [Decimal("0.0045")] * 5


@pytest.mark.parametrize("usd", ["2", "4"])
def test_a_crash_between_storing_and_settling_is_mended(store, kept, project, monkeypatch, usd):
    put(store, project, call(1))

    def crash(*_: Any) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(run, "settle_traces", crash)
        with pytest.raises(OSError, match="power cut"):
            go(store, kept, project, "reprice", book=own(project, "2"))
    assert costs(store, project) == [Decimal("0.0075")]
    go(store, kept, project, "reprice", book=own(project, usd))
    assert costs(store, project) == [Decimal(usd) * 1500 / 1_000_000]


def test_remap_moves_the_media_of_log_records_and_their_spans(store, kept, project):
    raw, other = call(1), call(2)
    body = {"content": [{"type": "image_url", "image_url": {"url": address(png())}}]}
    record = replace(genai_log("gen_ai.user.message", body), trace_id=raw.trace_id, span_id=raw.span_id)
    plain = replace(genai_log("app.said", "word " * 1000), trace_id=raw.trace_id, span_id=raw.span_id)
    elsewhere = replace(record, trace_id=other.trace_id, span_id=other.span_id)
    put(store, project, raw)
    store.insert("logs", rows.lines([rows.log_row(project, T0, 30_000, log, True) for log in (record, plain)]))
    store.insert("logs", rows.lines([rows.log_row(f"{project}-other", T0, 0, elsewhere, True)]))
    assert go(store, kept, project).changed == 1
    found = store.select(
        "SELECT log_id, version, body FROM logs FINAL WHERE project_id = {p:String} ORDER BY event_name", {"p": project}
    )
    assert [row["version"] - T0 for row in found] == [0, 1]
    assert found[1]["log_id"] == rows.log_row(project, T0, 0, record, True)["log_id"]
    assert uri(png()) in found[1]["body"]
    assert b64(png())[60:120] not in found[1]["body"]
    (part,) = span_detail(store, project, raw.trace_id, raw.span_id)["input_messages"][0]["parts"]
    assert part["uri"] == uri(png())
    assert blob_bytes(store, project, part["uri"].rpartition("/")[2]) == png()
    assert go(store, kept, project).changed == 0
    with pytest.raises(NotFound):
        blob_bytes(store, f"{project}-other", part["uri"].rpartition("/")[2])


def test_remap_moves_the_media_of_what_was_stored_before_they_lay_apart(store, kept, project):
    data, said = png(), {"role": "user", "content": [{"type": "image_url", "image_url": {"url": address(png())}}]}
    raw = call(1, **{"gen_ai.input.messages": json.dumps([said])})
    inline = [{"role": "user", "parts": [{"type": "blob", "modality": "image", "mime_type": "image/png",
                                          "content": b64(data)}]}]  # fmt: skip
    put(store, project, raw, attributes=raw.attributes, input_messages=inline, mapper_version=4)
    put(store, project, call(2))
    first, second = go(store, kept, project), go(store, kept, project)
    assert (first.changed, second.changed) == (1, 0)
    detail = span_detail(store, project, raw.trace_id, raw.span_id)
    (part,) = detail["input_messages"][0]["parts"]
    assert (part["uri"], part["size_bytes"], detail["mapper_version"]) == (uri(data), len(data), MAPPER_VERSION)
    assert b64(data)[60:120] not in str(detail)
    assert blob_bytes(store, project, part["uri"].rpartition("/")[2]) == data
    (row,) = store.select("SELECT retention_days FROM blobs WHERE project_id = {project:String}", {"project": project})
    assert row["retention_days"] == 30_000
    # As the drain stores it now, and as it reads again: the same.
    put(store, project, call(3, **{"gen_ai.input.messages": json.dumps([said])}))
    assert go(store, kept, project).changed == 0


@pytest.mark.parametrize(
    "clothes",
    [
        lambda data: {"inline_data": {"mime_type": "image/png", "data": base64.encodebytes(data).decode()}},
        lambda data: {"inline_data": {"mime_type": "image/png", "data": repr(data)}},
        lambda data: {"type": "image", "image": {"type": "Buffer", "data": list(data)}},
    ],
    ids=["lines", "python", "javascript"],
)
def test_remap_moves_media_in_odd_clothes(store, kept, project, clothes):
    data = png()
    raw = call(1, **{"gen_ai.input.messages": json.dumps([{"role": "user", "parts": [clothes(data)]}])})
    put(store, project, raw, attributes=raw.attributes, mapper_version=4)
    first, second = go(store, kept, project), go(store, kept, project)
    assert (first.changed, second.changed) == (1, 0)
    detail = span_detail(store, project, raw.trace_id, raw.span_id)
    (part,) = detail["input_messages"][0]["parts"]
    assert (part["uri"], part["size_bytes"]) == (uri(data), len(data))
    assert len(str(detail)) < 4000
    assert blob_bytes(store, project, part["uri"].rpartition("/")[2]) == data
