"""The classification form: one or two texts and a head with one output a label.

A score has one output. A row's own options make one text each, behind the row's first text, and the head's
one output ranks them (a multiple-choice head).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from loretta_cli.errors import DataError
from loretta_cli.models.families import Form
from loretta_cli.tasks.base import Example, Texts
from loretta_cli.tasks.encoding import fitting_prompt, named_row
from loretta_cli.tasks.forms.base import Batch, Encoded, Row
from loretta_cli.tasks.forms.options import OptionForm, by_row, labels_of


@dataclass(frozen=True, slots=True)
class HeadForm(OptionForm):
    """A text or a pair of texts, read by a classification head.

    Args:
        ends_texts: Whether the head looks at the last end-of-text token, as that of an encoder-decoder does.
    """

    ends_texts: bool = False
    name: ClassVar[Form] = "classification"

    def encode(self, examples: Sequence[Example]) -> Encoded:
        """Rows ``{"input_ids", ..., "labels"}``; of options, lists of them, one an option."""
        rows: list[Row] = []
        shortened = 0
        for example in examples:
            texts = [example.texts[column] for column in self.task.head]
            if example.options:
                with named_row(example):
                    encoded = [self._of_option(example, *texts, option) for option in example.options]
                shortened += any(cut for _, cut in encoded)
                inputs = {name: [row[name] for row, _ in encoded] for name in encoded[0][0]}
            else:
                inputs, cut = self._tokens(*texts)
                shortened += cut
            rows.append({**inputs, "labels": example.label})
        if self.ends_texts:
            _check_end_tokens(examples, rows, self.tokenizer)
        return Encoded(tuple(rows), shortened)

    def _of_option(self, example: Example, *texts: str) -> tuple[Row, bool]:
        """The inputs for an option behind its row's texts, and whether they were cut: never the ending."""
        if not self.task.head_ending:
            return self._tokens(*texts)
        ending, cut, others = example.texts[self.task.head_ending], self.task.head[0], texts[1:]

        def tokens(row: Texts) -> tuple[Row, int]:
            inputs = dict(self.tokenizer(f"{row[cut]} {ending}", *others, verbose=False))
            return inputs, len(inputs["input_ids"])

        return fitting_prompt({cut: texts[0]}, cut, self.tokenizer, self.max_length, tokens)

    def _tokens(self, *texts: str) -> tuple[Row, bool]:
        """The model's inputs for a text or a pair, and whether it was cut."""
        full = self.tokenizer(*texts, truncation=False, verbose=False)
        if len(full["input_ids"]) <= self.max_length:
            return dict(full), False
        return dict(self.tokenizer(*texts, truncation=True, max_length=self.max_length)), True

    def collate(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """``input_ids`` and masks ``(texts, length)``, ``labels`` ``(rows,)``, and ``options`` ``(rows,)``.

        ``options`` counts the texts of each row, where rows have options.
        """
        inputs = [{name: value for name, value in row.items() if name != "labels"} for row in rows]
        counts = [len(row["input_ids"]) for row in inputs]
        has_options = self.task.kind == "choice"
        if has_options:
            inputs = [
                {name: row[name][option] for name in row}
                for row, count in zip(inputs, counts, strict=True)
                for option in range(count)
            ]
        batch = dict(self.tokenizer.pad(inputs, return_tensors="pt"))
        batch["labels"] = labels_of(rows)
        return {**batch, "options": torch.tensor(counts)} if has_options else batch

    def scores(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The logits of the head; of options, its one output for each."""
        inputs = {name: value for name, value in batch.items() if name not in ("labels", "options")}
        logits: torch.Tensor = model(**inputs).logits.float()
        if "options" not in batch:
            return logits
        return by_row(logits[:, 0], batch["options"])

    def evaluation_scores(self, model: nn.Module, rows: Sequence[Row]) -> torch.Tensor:
        """Scores ``(rows, labels)`` of some rows, fp32."""
        if self.task.kind != "choice":
            return OptionForm.evaluation_scores(self, model, rows)
        inputs = [{name: value for name, value in row.items() if name != "labels"} for row in rows]
        counts = [len(row["input_ids"]) for row in inputs]
        apart = [
            {"labels": 0, **{name: [row[name][option]] for name in row}}
            for row, count in zip(inputs, counts, strict=True)
            for option in range(count)
        ]
        return self.scores_apart(model, apart, counts)


def _check_end_tokens(examples: Sequence[Example], rows: Sequence[Row], tokenizer: Any) -> None:
    """Refuse rows that the classification head of an encoder-decoder cannot read.

    It looks at the last end-of-text token, and transformers wants the same number of them in every row.

    Raises:
        DataError: If a row has none, or not as many as the others.
    """
    end = tokenizer.eos_token_id
    counts = [row["input_ids"].count(end) for row in rows]
    if len(set(counts)) > 1:
        with named_row(examples[counts.index(max(counts))]):
            raise DataError(
                f"A text contains the tokenizer's end-of-text token {tokenizer.eos_token!r}, at which the "
                "classification head of an encoder-decoder looks.",
                hint="Remove it from the texts, or use --set task.form=prompt.",
            )
    if counts and not counts[0]:
        raise DataError(
            "The tokenizer ends no text with an end-of-text token, at which the classification head of an "
            "encoder-decoder looks.",
            hint="Use --set task.form=prompt.",
        )
