"""What a task is: its columns, labels, prompts and metrics, as data. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from loretta_cli.models.families import Form
from loretta_cli.tasks.cells import Cells
from loretta_cli.tasks.sources import Row

Kind = Literal["classification", "regression", "choice", "generation", "language-modeling"]
"""What is to be said of a row: one of the task's labels, a score, one of the row's own options, a text, or
nothing (its text is what the model learns)."""

Scorer = Literal["labels", "squad", "squad_v2", "drop", "multirc", "record"]

LOWER_IS_BETTER = ("loss", "perplexity")
"""Metrics of which the least value is the best."""

Texts = Mapping[str, str]
CellValues = Mapping[str, object]
"""The cells of a row, by column."""
Render = Callable[[Texts], str]


@dataclass(frozen=True, slots=True)
class Example:
    """A checked row.

    Args:
        texts: What prompts and heads read, by column.
        label: The number of the right label or of the right option, or the score.
        options: The row's own options, where they differ from row to row.
        names: What each option answers, where its text says more than that.
        answers: Every accepted answer; each is a tuple of spans, most of one.
        group: Rows of one group are sampled and scored together (the answers to one question).
        place: File and line, for messages; empty where the row was not read from a file.
    """

    texts: Texts
    label: int | float = 0
    options: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    answers: tuple[tuple[str, ...], ...] = ()
    group: str = ""
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Prompt:
    """How a row becomes a text that a language model goes on with by one of some options.

    Args:
        render: From the row's columns to the prompt; the options follow it directly.
        options: The text of each label, or of each point of a scale, with its leading space or without. Empty
            where each row has its own.
        cut: The column that is shortened where a prompt does not fit the model's context.
    """

    render: Render
    options: tuple[str, ...]
    cut: str


@dataclass(frozen=True, slots=True)
class MaskedPrompt:
    """How a row becomes a text with one gap, which a masked language model fills with a label word.

    Args:
        render: From the row's columns to the text; :data:`MASK` stands where the word goes.
        words: The word of each label (or point of a scale), one token each, with its leading space where the
            gap has one.
        cut: The column that is shortened where the text does not fit.
    """

    render: Render
    words: tuple[str, ...]
    cut: str


SOME_ANSWER = "the"
"""The text of an answer that nobody has given. It only tells where a prompt ends: a tokenizer may join a
space at its end to the word that follows, and does so with a word as common as this."""

MASK = "{mask}"
"""Stands for the tokenizer's own mask token in what a :class:`MaskedPrompt` renders."""


@dataclass(frozen=True, slots=True)
class Generation:
    """How a row becomes a text that a language model goes on with in its own words.

    Args:
        render: From the row's columns to the prompt; the answer follows it directly.
        cut: The column that is shortened where a prompt does not fit the model's context.
        answer: From an accepted answer to the text that is learned, without the stop that follows it.
        stop: Texts at which an answer ends; the first one ends those that are learned. Without any, and of
            encoder-decoders, the tokenizer's end-of-text token ends them.
        max_new_tokens: Longest answer.
        is_chat: Whether ``messages`` holds, as JSON, the messages before the answer, of which the tokenizer's
            chat template makes the prompt; only ``max_new_tokens`` counts then.
    """

    render: Render
    cut: str
    answer: Callable[[tuple[str, ...]], str] = lambda spans: " " + ", ".join(spans)
    stop: tuple[str, ...] = ("\n",)
    max_new_tokens: int = 50
    is_chat: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """A task.

    Args:
        name: As on the command line.
        version: Changes when prompts, columns or metrics do; results of two versions do not compare.
        kind: What is to be said of a row.
        columns: Those that ``read`` asks for, as errors list them.
        read: From the cells of a row to a checked example.
        metrics: Names of the metrics, the main one first.
        scorer: The family of the metrics, of those in :mod:`evaluation.metrics`.
        labels: Label names of a classification; the number of a label is its place here.
        values: Of a regression's prompt: the score that each option stands for, rising.
        head: The one or two columns that a classification head reads; empty if there is no such form.
        head_ending: Column that ends the first of these, after a space, and is never cut.
        has_long_texts: Whether many rows are longer than the usual ``data.max_length`` of an encoder.
        prompt: The prompt form.
        masked: The form for masked language models.
        generation: The form in the model's own words.
        hub_id: The task's data on the hub, used when no ``--data`` is given.
        hub_validation: The split of a hub data set that is reported: that of the official evaluation.
        other_names: Column names of other published versions, mapped to the task's own.
        roles: Of a task made from the user's own columns: role to column, as ``data.columns`` has them.
        leaves_out: Which rows of the published data are not part of the task.
        unanswered: From the cells of a row that is only to be predicted to those that are put in, so that
            ``read`` takes it: an answer in place of whatever is there, or is not there.
    """

    name: str
    version: int
    kind: Kind
    columns: tuple[str, ...]
    read: Callable[[Cells], Example]
    metrics: tuple[str, ...]
    scorer: Scorer = "labels"
    labels: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    head: tuple[str, ...] = ()
    head_ending: str = ""
    has_long_texts: bool = False
    prompt: Prompt | None = None
    masked: MaskedPrompt | None = None
    generation: Generation | None = None
    hub_id: str | None = None
    hub_validation: str = "validation"
    other_names: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, object] = field(default_factory=dict)
    leaves_out: Callable[[Row], bool] = lambda row: False
    unanswered: Callable[[CellValues], CellValues] = lambda values: {}

    @property
    def writes(self) -> bool:
        """Whether a metric reads texts in the model's own words; perplexity does not."""
        return self.kind == "generation" and self.metrics != ("perplexity",)

    @property
    def main_metric(self) -> str:
        """The metric by which the best checkpoint is chosen."""
        return self.metrics[0]

    @property
    def forms(self) -> tuple[Form, ...]:
        """The forms that the task has."""
        have: dict[Form, object] = {
            "classification": self.head,
            "prompt": self.prompt,
            "masked": self.masked,
            "generation": self.generation or self.kind == "language-modeling",
        }
        return tuple(name for name, value in have.items() if value)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of a classification head's outputs: the labels, or the one score of a text or an option."""
        return self.labels or ("score",)

    def example(self, row: Row) -> Example:
        """Read and check one row.

        Raises:
            DataError: Naming file, line and column of what is missing or wrong.
        """
        cells = Cells(row, self.name, self.columns, self.other_names, is_own=bool(self.roles))
        return replace(self.read(cells), place=row.place)

    def examples(self, rows: Sequence[Row]) -> tuple[Example, ...]:
        """Read and check rows, but for those that the task leaves out."""
        return tuple(self.example(row) for row in rows if not self.leaves_out(row))
