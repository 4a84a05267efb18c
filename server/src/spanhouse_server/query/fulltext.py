"""Full-text search over inputs and outputs, through the text index of ``spans``.

The index holds the tokens of ``lower(search_text)``: runs of ASCII letters and digits and of any
non-ASCII characters. Whole words are found by token; what no token can answer (a part of a word,
a wildcard, scripts without spaces) is read from the text itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from spanhouse_server.query.operands import like_escaped

_TOKEN = re.compile(r"[0-9A-Za-z\u0080-\U0010ffff]+")
#: The engine takes at most 64 tokens in one call.
MAX_TOKENS = 48

Bind = Callable[[object, str], str]


def search_condition(words: tuple[str, ...], phrases: tuple[str, ...], bind: Bind) -> str:
    """Return SQL over ``spans`` for spans that hold all words and phrases.

    ``bind`` takes a value and its ClickHouse type and returns its placeholder.
    """
    plain: list[str] = []
    parts: list[str] = []
    for word in words:
        if "*" in word or _unspaced(word):
            parts.append(_contains("%".join(like_escaped(piece) for piece in word.split("*")), bind))
        elif word.isascii():
            plain += tokens_of(word)
            if not word.isalnum():
                parts.append(_contains(like_escaped(word), bind))
        else:
            parts.append(_foreign_word(word, bind))
    for phrase in phrases:
        if phrase.isascii():
            plain += tokens_of(phrase)
            if phrase.isalnum():
                continue  # one token: who has it contains it, and the text itself need not be read
        parts.append(_contains(like_escaped(phrase), bind))
    tokens = list(dict.fromkeys(plain))[:MAX_TOKENS]
    if tokens:
        parts.insert(0, f"hasAllTokens(lower(search_text), {bind(tokens, 'Array(String)')})")
    return " AND ".join(parts)


def tokens_of(text: str) -> list[str]:
    """Return the tokens of a text as the index has them."""
    return [token.lower() if token.isascii() else _ascii_lower(token) for token in _TOKEN.findall(text)]


def _foreign_word(word: str, bind: Bind) -> str:
    """The index lowers ASCII only, so each way of writing the word is looked up."""
    spellings = dict.fromkeys(tuple(tokens_of(form)) for form in (word, word.lower(), word.upper(), word.title()))
    calls = [f"hasAllTokens(lower(search_text), {bind(list(form), 'Array(String)')})" for form in spellings if form]
    return f"({' OR '.join(calls)})" if calls else _contains(like_escaped(word), bind)


def _contains(pattern: str, bind: Bind) -> str:
    """Case is ignored beyond ASCII too, by the engine's own rules for both sides."""
    if pattern.isascii():
        return f"lower(search_text) LIKE {bind('%' + pattern.lower() + '%', 'String')}"
    return f"lowerUTF8(search_text) LIKE lowerUTF8({bind('%' + pattern + '%', 'String')})"


def _ascii_lower(text: str) -> str:
    return "".join(character.lower() if character.isascii() else character for character in text)


def _unspaced(word: str) -> bool:
    """Tell whether the word is of a script that does not put spaces between words."""
    for character in word:
        if character.isascii():
            continue
        name = unicodedata.name(character, "")
        if name.startswith(("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO ", "KHMER", "MYANMAR", "HANGUL")):
            return True
    return False
