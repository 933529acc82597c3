"""Scoring answers in free text by the published rules of SQuAD (1.1 and 2.0) and DROP.

Both compare words after normalisation; a row's score is the best over its accepted answers, and a metric is
the mean of the rows, from 0 to 1. Imports scipy inside a function.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from loretta_cli.tasks import Example
from loretta_cli.tasks.drop import SEPARATOR
from loretta_cli.tasks.squad_v2 import NO_ANSWER

ARTICLES = re.compile(r"\b(a|an|the)\b")
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)

Score = Callable[[str, Sequence[str]], float]
"""From a text and the accepted ones to a score from 0 to 1."""


def normalized(text: str) -> str:
    """A text in lower case without punctuation, articles and extra white space (SQuAD's rule)."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(NO_PUNCTUATION)).split())


def exact_match(text: str, references: Sequence[str]) -> float:
    """Whether a text equals a reference, both normalised; as they are, if that leaves nothing of one."""
    return max(_same_words(text, reference) for reference in references)


def token_f1(text: str, references: Sequence[str]) -> float:
    """The best F1 of a text's words against those of a reference, both normalised.

    Where that leaves nothing of one, it is 1 if the two are equal as they are, else 0.
    """
    return max(_word_f1(text, reference) for reference in references)


def squad_exact_match(examples: Sequence[Example], values: Sequence[Any]) -> float:
    """SQuAD 1.1's share of exact matches."""
    return _mean(exact_match, examples, values)


def squad_f1(examples: Sequence[Example], values: Sequence[Any]) -> float:
    """SQuAD 1.1's mean F1."""
    return _mean(token_f1, examples, values)


def squad_v2_exact_match(examples: Sequence[Example], values: Sequence[Any]) -> float:
    """SQuAD 2.0's share of exact matches; to say that there is no answer is to say nothing."""
    return _mean(_or_nothing(exact_match), examples, values)


def squad_v2_f1(examples: Sequence[Example], values: Sequence[Any]) -> float:
    """SQuAD 2.0's mean F1; to say that there is no answer is to say nothing."""
    return _mean(_or_nothing(token_f1), examples, values)


def drop_exact_match(examples: Sequence[Example], values: Sequence[Any]) -> float:
    """DROP's share of answers with the very spans of a reference."""
    return sum(
        max(float(_same_spans(_spans(value), _normalized_spans(answer))) for answer in example.answers)
        for example, value in zip(examples, values, strict=True)
    ) / len(examples)


def drop_f1(examples: Sequence[Example], values: Sequence[Any]) -> float:
    """DROP's mean F1: spans are aligned one to one, and numbers must agree."""
    return sum(
        max(_aligned_f1(_spans(value), _normalized_spans(answer)) for answer in example.answers)
        for example, value in zip(examples, values, strict=True)
    ) / len(examples)


def _mean(score: Score, examples: Sequence[Example], values: Sequence[Any]) -> float:
    """The mean score of texts; an accepted answer of several spans is their texts one after the other."""
    pairs = zip(examples, values, strict=True)
    return sum(
        score(value, [" ".join(spans) for spans in example.answers]) for example, value in pairs
    ) / len(examples)


def _or_nothing(score: Score) -> Score:
    """A score by SQuAD 2.0's rule: references that say nothing count only where no other says something."""

    def said(text: str) -> str:
        return "" if normalized(text) in ("", NO_ANSWER) else text

    return lambda text, references: score(said(text), list(filter(None, map(said, references))) or [""])


def _same_words(text: str, reference: str) -> float:
    words, expected = normalized(text), normalized(reference)
    return float(words == expected if words and expected else text.strip() == reference.strip())


def _word_f1(text: str, reference: str) -> float:
    words, expected = normalized(text).split(), normalized(reference).split()
    if not words or not expected:
        return float(text.strip() == reference.strip())
    shared = (Counter(words) & Counter(expected)).total()
    return 2 * shared / (len(words) + len(expected))


def _spans(text: str) -> list[str]:
    """The normalised spans of a predicted text, which says several with :data:`SEPARATOR` between them."""
    pieces = [piece for piece in text.split(SEPARATOR.strip()) if piece.strip()]
    return _normalized_spans(pieces or [text])


def _normalized_spans(spans: Sequence[str]) -> list[str]:
    return [" ".join(filter(None, map(_drop_word, re.split(" |-", span)))) for span in spans]


def _drop_word(word: str) -> str:
    """A word by DROP's rule: as SQuAD's, but numbers keep their point, and 3 is 3.0."""
    word = word.lower()
    number = _number(word)
    if number is None:
        word = word.translate(NO_PUNCTUATION)
        number = _number(word)
    if number is not None:
        word = str(number)
    return " ".join(ARTICLES.sub(" ", word).split())


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _same_spans(spans: Sequence[str], reference: Sequence[str]) -> bool:
    return set(spans) == set(reference) and len(spans) == len(reference)


def _aligned_f1(spans: Sequence[str], reference: Sequence[str]) -> float:
    """The mean F1 of the best one-to-one alignment, over the spans of the longer side; two decimals."""
    from scipy.optimize import linear_sum_assignment

    scores = [[_bag_f1(set(span.split()), set(one.split())) for span in spans] for one in reference]
    rows, columns = linear_sum_assignment(scores, maximize=True)
    total: float = sum(scores[row][column] for row, column in zip(rows, columns, strict=True))
    return round(total / max(len(spans), len(reference)), 2)


def _bag_f1(words: set[str], reference: set[str]) -> float:
    """F1 of two sets of words; 0 where the reference has numbers and the words have none of them."""
    numbers = {word for word in reference if _number(word) is not None}
    if numbers and not numbers & words:
        return 0.0
    shared = len(words & reference)
    precision = shared / len(words) if words else 1.0
    recall = shared / len(reference) if reference else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
