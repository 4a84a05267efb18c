"""By what a report of a call is found in other traces: what its ids tell, and ids that others of its trace know.

Who serves a call gives it an id of its own, at random: two reports with it are of one call. But gateways
answer from a cache with the id of the first answer, some engines count (Ollama has a thousand ids), and
stand-ins have one for all. So an id *tells* only where it looks random; how often it is told is for
``settle_across`` to see.

A call told twice within its trace counts once there, maybe by a report that has no id (a framework's, below
or around the client's). It then takes the id of the other, or a gateway's report in another trace would not
be known for the same call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.model.span import MODEL_CATEGORIES
from spanhouse_server.normalise.settle_tree import MAX_STEPS, Tree

#: Characters an id has at least behind what says whose it is, different ones among them, and digits among these:
#: 48 random bits and more, and no words.
MIN_CHARACTERS = 16
MIN_DIFFERENT = 8
MIN_DIGITS = 2

_SEPARATORS = frozenset("-_.:+/=")
_DIGITS = frozenset("0123456789")
_KEYS_OF_STREAMS = " "


def is_random(response_id: str) -> bool:
    """Tell whether an id looks as if it was drawn at random: one long word, mixed, of letters and digits."""
    drawn = response_id
    for separator in "-_":
        kind, _, rest = response_id.partition(separator)
        if rest and kind.isalpha():
            drawn = rest
            break
    different = set(drawn)
    if len(drawn) < MIN_CHARACTERS or len(different) < MIN_DIFFERENT or _KEYS_OF_STREAMS in different:
        return False
    digits = len(different & _DIGITS)
    return MIN_DIGITS <= digits < len(different - _SEPARATORS)


def is_stream_key(key: str) -> bool:
    """Tell a key made of words (``settle_streams``) from an id."""
    return _KEYS_OF_STREAMS in key


def ids_of_others(tree: Tree, counted: Sequence[bool], doubles: Mapping[int, int]) -> dict[int, str]:
    """Return, by index, the response ids that reports which do not count lend to those which count.

    ``doubles`` has the reports that repeat another one's call. A wrapper of the same figures lends its id too.
    """
    spans = tree.spans
    if not any(span.response_id and not counts for span, counts in zip(spans, counted, strict=True)):
        return {}
    lent: dict[int, str] = {}
    for index, best in doubles.items():
        if counted[best] and spans[index].response_id not in ("", spans[best].response_id):
            lent[best] = min(lent.get(best) or spans[index].response_id, spans[index].response_id)
    for index, span in enumerate(spans):
        lacks = counted[index] and not span.response_id and span.category in MODEL_CATEGORIES
        if lacks and index not in lent and (wrapper_id := _id_above(tree, index)):
            lent[index] = wrapper_id
    return lent


def _id_above(tree: Tree, index: int) -> str:
    """Return the id of the nearest span above that reports the same call with the same figures."""
    span, above = tree.spans[index], tree.parents[index]
    for _ in range(MAX_STEPS):
        if above < 0 or tree.spans[above].category == "tool":
            return ""
        wrapper = tree.spans[above]
        if wrapper.response_id and wrapper.category == span.category and _same_figures(wrapper, span):
            return wrapper.response_id
        above = tree.parents[above]
    return ""


def _same_figures(a: SpanFacts, b: SpanFacts) -> bool:
    return (
        bool(a.input_tokens or a.output_tokens)
        and a.input_tokens == b.input_tokens
        and a.output_tokens == b.output_tokens
    )
