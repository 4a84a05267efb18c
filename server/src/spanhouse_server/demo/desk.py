"""The support desk itself: classify, retrieve, let an agent use its tools, check, answer."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

import spanhouse
from spanhouse_server.demo import models
from spanhouse_server.demo.models import MODELS, ModelOverloadedError, ModelUnavailableError
from spanhouse_server.demo.shop import PAGES, TOOLS, CarrierTimeoutError, Conversation, ToolUse, Turn
from spanhouse_server.demo.timeline import Timeline

CLASSIFY_PROMPT = ("intent-classifier", "3")
ANSWER_PROMPT = ("support-answer", "12")
CLASSIFY_SYSTEM = (
    "Classify the customer's message. Answer with JSON: intent (one of order_status, return, refund, product, "
    "account, complaint) and urgency (low, normal, high)."
)
ANSWER_SYSTEM = (
    "You are the support desk of Fjell & Fern, an outdoor shop. Be brief, warm and exact. Use the tools for anything "
    "about an order; quote the help pages for policies and never invent one. If you cannot solve it, hand over to a "
    "person. Refunds above 150 EUR need a person's approval. Answer in the customer's language.\n\n"
    "Delivery times are given in working days. Amounts are in EUR with two decimals. Name the order number in your "
    "first sentence when there is one. Do not promise dates that the carrier has not confirmed. Never ask for card "
    "numbers or passwords; if a customer sends one, tell them to change it and do not repeat it."
)
GUARD_SYSTEM = "Does the answer contain a promise or policy that the sources do not support? Answer safe or unsafe."


@dataclass
class Visit:
    """One conversation as it goes on: where it stands and what has been said."""

    script: Conversation
    session: str
    user: str
    timeline: Timeline
    history: list[dict[str, Any]]


def visit(script: Conversation, session: str, user: str, start_ns: int, chance: random.Random) -> Visit:
    """Open a conversation at ``start_ns``."""
    return Visit(script, session, user, Timeline(start_ns, chance), [])


def serve(at: Visit, turn: Turn) -> str | None:
    """Answer one message as one trace; return the answer, ``None`` when the turn failed."""
    timeline = at.timeline
    metadata = {"channel": at.script.channel, "locale": at.script.locale, "plan": at.script.plan, **at.script.metadata}
    tags = [at.script.channel, turn.intent, *at.script.tags]
    with spanhouse.context(session=at.session, user=at.user, tags=tags, metadata=metadata):
        try:
            root = spanhouse.span(
                "answer customer", "workflow", input={"message": turn.question}, start_time_ns=timeline.now_ns
            )
            with timeline.during(root) as run:
                answer = _answer(at, turn)
                run.set_output(answer)
        except ModelUnavailableError:
            spanhouse.score("resolved", 0.0, trace_id=run.trace_id, explanation="The customer was shown an error page.")
            return None
        _feedback(turn, run)
    at.history += [{"role": "user", "content": turn.question}, {"role": "assistant", "content": answer}]
    return answer


def _answer(at: Visit, turn: Turn) -> str:
    timeline = at.timeline
    timeline.pass_ms(2, 6)
    _classify(timeline, turn)
    sources = _retrieve(timeline, turn)
    with timeline.during(
        spanhouse.span("support agent", "agent", input=turn.question, start_time_ns=timeline.now_ns)
    ) as agent:
        answer = _agent(at, turn, sources)
        agent.set_output(answer)
    _guard(timeline, answer, sources)
    return answer


def _classify(timeline: Timeline, turn: Turn) -> None:
    with timeline.during(
        spanhouse.span("classify message", "task", input=turn.question, start_time_ns=timeline.now_ns)
    ) as step:
        urgency = "high" if turn.intent == "complaint" else "normal"
        verdict = json.dumps({"intent": turn.intent, "urgency": urgency})
        with spanhouse.context(prompt=CLASSIFY_PROMPT[0], prompt_version=CLASSIFY_PROMPT[1]):
            message = [{"role": "user", "content": turn.question}]
            models.call(timeline, MODELS["gpt-4o-mini"], message, verdict, system=CLASSIFY_SYSTEM, temperature=0.0)
        step.set_output(json.loads(verdict))
        timeline.pass_ms(1, 3)


def _retrieve(timeline: Timeline, turn: Turn) -> list[dict[str, object]]:
    span = spanhouse.span("help centre", "retriever", input=turn.question, start_time_ns=timeline.now_ns)
    with timeline.during(span) as search:
        search.set_attribute("gen_ai.data_source.id", "help-centre-2026")
        models.embed(timeline, turn.question)
        timeline.pass_ms(8, 30)
        score = timeline.chance.uniform(0.78, 0.93)
        found = []
        for page_id in turn.pages:
            page = PAGES[page_id]
            metadata = {"title": page.title, "updated": page.updated}
            found.append({"id": page.id, "score": round(score, 3), "content": page.text, "metadata": metadata})
            score *= timeline.chance.uniform(0.72, 0.9)
        search.set_output(found)
    return found


def _agent(at: Visit, turn: Turn, sources: list[dict[str, object]]) -> str:
    timeline = at.timeline
    pages = "\n\n".join(f"[{page['id']}] {page['content']}" for page in sources)
    messages: list[dict[str, Any]] = [
        *at.history,
        {"role": "user", "content": f"{turn.question}\n\nHelp pages:\n{pages}"},
    ]
    tools = [tool.definition for tool in TOOLS.values()]
    model = MODELS[at.script.model]
    with spanhouse.context(prompt=ANSWER_PROMPT[0], prompt_version=ANSWER_PROMPT[1]):
        if turn.trouble == "down":
            models.refuse(
                timeline,
                model,
                messages,
                ModelUnavailableError("connection timed out after 10 s"),
                system=ANSWER_SYSTEM,
            )
        if turn.trouble == "overloaded":
            try:
                error = ModelOverloadedError("429: rate limit reached for requests per minute, try again in 1.2 s")
                models.refuse(timeline, model, messages, error, system=ANSWER_SYSTEM)
            except ModelOverloadedError:
                model = MODELS["claude-sonnet-4-5"]
        for number, use in enumerate(turn.tools):
            call_id = f"call_{at.session[-4:]}{len(at.history)}{number}"
            function = {"name": use.name, "arguments": json.dumps(use.arguments)}
            request: dict[str, Any] = {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": call_id, "function": function}],
            }
            models.call(timeline, model, messages, request, system=ANSWER_SYSTEM, tools=tools)
            result = _use(timeline, use)
            messages += [request, {"role": "tool", "tool_call_id": call_id, "content": json.dumps(result)}]
        models.call(timeline, model, messages, turn.answer, system=ANSWER_SYSTEM, tools=tools, stream=True)
    return turn.answer


def _use(timeline: Timeline, use: ToolUse) -> object:
    tool = TOOLS[use.name]
    try:
        span = spanhouse.span(use.name, "tool", input=use.arguments, start_time_ns=timeline.now_ns)
        with timeline.during(span) as run:
            if use.error:
                timeline.pass_s(4.9, 5.1)
                raise CarrierTimeoutError(use.error)
            timeline.pass_ms(tool.low_ms, tool.high_ms)
            run.set_output(use.result)
    except CarrierTimeoutError as error:
        # The agent is told and goes on; only the tool's span has failed.
        return {"error": str(error)}
    return use.result


def _guard(timeline: Timeline, answer: str, sources: list[dict[str, object]]) -> None:
    with timeline.during(
        spanhouse.span("check answer", "guardrail", input=answer, start_time_ns=timeline.now_ns)
    ) as step:
        claim = [{"role": "user", "content": f"Sources: {[page['id'] for page in sources]}\nAnswer: {answer}"}]
        models.call(timeline, MODELS["shop-guard-7b"], claim, "safe", system=GUARD_SYSTEM, temperature=0.0)
        step.set_output("safe")


def _feedback(turn: Turn, run: spanhouse.Span) -> None:
    if turn.feedback:
        liked = turn.feedback == "up"
        spanhouse.score(
            "feedback",
            1.0 if liked else 0.0,
            "thumbs up" if liked else "thumbs down",
            turn.comment or None,
            run.trace_id,
        )
    if turn.feedback or turn.tools:
        spanhouse.score("resolved", 0.0 if turn.feedback == "down" else 1.0, trace_id=run.trace_id)
