"""Settling depends on what the spans are, not on how they came."""

from __future__ import annotations

import random
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.normalise.settle import settle
from tests.unit.normalise.settle_facts import fact

IDS = [f"{n:02x}" for n in range(12)]
count = st.none() | st.integers(0, 5)
word = st.sampled_from(["", "", "a", "b"])

facts_of_a_trace = st.lists(
    st.builds(
        fact,
        st.sampled_from(IDS),
        st.sampled_from(["", "elsewhere", *IDS]),
        version=st.integers(1, 3),
        received_at=st.integers(0, 3),
        retention_days=st.sampled_from([0, 7, 30]),
        name=word,
        status_code=st.sampled_from(["unset", "ok", "error"]),
        start_ns=st.integers(0, 6),
        end_ns=st.integers(0, 9),
        category=st.sampled_from(["llm", "llm", "embedding", "agent", "workflow", "tool", "server", "other"]),
        response_id=word,
        scope_name=word,
        request_model=word,
        cache_read_tokens=count,
        input_tokens=count,
        output_tokens=count,
        cost_usd=st.none() | st.decimals(0, 9, places=12),
        cost_status=st.sampled_from(["priced", "unpriced", "reported", "partial", ""]),
        session_id=word,
        user_id=word,
        prompt_name=word,
        input_preview=word,
        output_preview=word,
        tags=st.lists(word, max_size=2),
        metadata=st.dictionaries(word, word, max_size=2),
        ttft_ns=count,
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=300, deadline=None)
@given(facts=facts_of_a_trace, seed=st.integers(0, 10**6))
def test_order_is_without_effect(facts, seed):
    shuffled = list(facts)
    random.Random(seed).shuffle(shuffled)
    assert settle("p", shuffled, 1) == settle("p", facts, 1)


@settings(max_examples=200, deadline=None)
@given(facts=facts_of_a_trace, cuts=st.lists(st.integers(0, 14), max_size=4))
def test_batches_end_where_one_batch_does(facts, cuts):
    """Each batch is settled with what the store holds by then: the newest version of every span so far."""
    stored = {}
    settled = None
    edges = [0, *sorted(cuts), len(facts)]
    for begin, end in zip(edges, edges[1:], strict=False):
        batch = facts[begin:end]
        if not batch:
            continue
        settled = settle("p", [*stored.values(), *batch], 5)
        for new in batch:
            old = stored.get(new.span_id)
            if old is None or (new.version, repr(new)) > (old.version, repr(old)):
                stored[new.span_id] = new
    assert settled == settle("p", facts, 5)


@settings(max_examples=300, deadline=None)
@given(facts=facts_of_a_trace)
def test_what_must_hold_for_any_trace(facts):
    settled = settle("p", facts, 1)
    trace, spans = settled.trace, settled.spans
    assert len({row.span_id for row in spans}) == len(spans) == trace.span_count
    assert any(row.is_root for row in spans)
    counted = [row for row in spans if row.counted]
    for total, name in ((trace.input_tokens, "input_tokens"), (trace.cost_usd, "cost_usd")):
        said = [getattr(row, name) for row in counted if getattr(row, name) is not None]
        assert total == (sum(said, Decimal(0)) if said else None)
        assert (total or 0) <= sum(getattr(row, name) or 0 for row in spans)
    assert trace.duration_ns >= 0
    assert all(row.duration_ns >= 0 for row in spans)
    assert 0 <= trace.llm_count <= sum(row.category == "llm" for row in spans)
    for row in spans:
        assert row.counted == (row.counted_reason in ("model_call", "only_figures", "best_informed"))
        kind, _, other = row.counted_reason.partition(": ")
        if kind in ("same_response", "same_call"):
            assert [each.counted_reason for each in spans if each.span_id == other] == ["best_informed"]
    # Figures never vanish altogether: if any span had some, some span counts.
    if any(row.input_tokens or row.output_tokens for row in spans):
        assert counted
    parents = {row.span_id: row.parent_span_id for row in spans}
    for row in counted:
        # Walking up from a counting span, no span of its category counts too, up to the nearest tool.
        seen = {row.span_id}
        above = parents[row.span_id] if not row.is_root else ""
        by_id = {each.span_id: each for each in spans}
        while above in by_id and above not in seen and by_id[above].category != "tool":
            seen.add(above)
            if row.input_tokens and by_id[above].input_tokens:
                assert not (by_id[above].counted and by_id[above].category == row.category)
            above = "" if by_id[above].is_root else parents[above]
