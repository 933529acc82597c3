"""The prompt form: a causal language model scores the options behind a prompt.

The score of an option is the mean log-probability of its tokens (MeZO, Section 4 and its code), so only
answer positions enter the loss. Prompts are padded on the left: answers end at the last position, and logits
of the last positions only are computed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from loretta_cli.errors import ConfigError
from loretta_cli.models.families import Form
from loretta_cli.tasks.base import Example, Prompt, Texts
from loretta_cli.tasks.encoding import check_options, continuations, fitting_prompt, named_row, padded
from loretta_cli.tasks.forms.base import Batch, Encoded, Row, on_device
from loretta_cli.tasks.forms.causal import can_share, last_logits, model_inputs, shared_prompt_scores
from loretta_cli.tasks.forms.options import OptionForm, by_row, labels_of


@dataclass(frozen=True, slots=True)
class PromptForm(OptionForm):
    """A prompt and options behind it.

    Args:
        calibrated: Subtract from an option's score, where rows are predicted, the score it has behind the
            prompt without its context (MeZO's code, after surface-form competition): an option that is likely
            anyway wins less often.
    """

    calibrated: bool = False
    name: ClassVar[Form] = "prompt"

    @property
    def prompt(self) -> Prompt:
        """The task's prompt."""
        assert self.task.prompt is not None, "a form is made for a task that has it"
        return self.task.prompt

    def encode(self, examples: Sequence[Example]) -> Encoded:
        """Rows ``{"input_ids", "options", "labels"}``: a prompt, and the tokens of each option behind it.

        For calibration, ``context_free`` is such a row of the prompt without its context.
        """
        rows: list[Row] = []
        shortened = 0
        for example in examples:
            with named_row(example):
                row, cut = self._encode(example)
                if self.calibrated:
                    texts = {**example.texts, self.prompt.cut: ""}
                    row["context_free"], _ = self._encode(dataclasses.replace(example, texts=texts))
            shortened += cut
            rows.append(row)
        return Encoded(tuple(rows), shortened)

    def _encode(self, example: Example) -> tuple[Row, bool]:
        texts = options_of(self.prompt, example)
        options: list[list[int]] = []

        def tokens(row: Texts) -> tuple[list[int], int]:
            nonlocal options
            ids, options = continuations(self.prompt.render(row), texts, self.tokenizer)
            check_options(texts, options)
            return ids, len(ids) + max(map(len, options))

        ids, cut = fitting_prompt(example.texts, self.prompt.cut, self.tokenizer, self.max_length, tokens)
        if not ids:
            without = " without its context, as task.calibration reads it," if self.calibrated else ""
            raise ConfigError(
                f"A prompt{without} has no tokens, and a model needs one before an option.",
                hint="Put words of your own into task.prompt, beside the columns.",
            )
        return {"input_ids": ids, "options": options, "labels": example.label}, cut

    def collate(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """A batch to train on: every option of the task, or of a row's own options the right one alone."""
        if self.task.kind == "choice":
            rows = [{**row, "options": [row["options"][row["labels"]]], "labels": 0} for row in rows]
        return self.batch(rows)

    def batch(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """A batch with every option.

        Returns:
            ``input_ids`` and ``attention_mask`` ``(texts, length)``, ``labels`` ``(rows,)``, ``options``
            ``(rows,)``, how many a row has, and either ``option_tokens`` ``(rows, options)``, where every
            option is one token and a prompt is one text, or ``option_lengths`` ``(texts,)``.
        """
        pad = self.tokenizer.pad_token_id
        options = torch.tensor([len(row["options"]) for row in rows])
        batch = {"options": options, "labels": labels_of(rows)}
        if all_single(rows):
            batch["option_tokens"] = first_tokens(rows)
            return batch | padded([row["input_ids"] for row in rows], pad, side="left")
        texts = [row["input_ids"] + option for row in rows for option in row["options"]]
        batch["option_lengths"] = torch.tensor([len(option) for row in rows for option in row["options"]])
        return batch | padded(texts, pad, side="left")

    def scores(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Mean log-probability of each option's tokens behind its prompt."""
        inputs = model_inputs(model, {name: batch[name] for name in ("input_ids", "attention_mask")})
        if "option_tokens" in batch:
            logits = last_logits(model, inputs, 1)[:, -1]
            return of_single_tokens(logits.float().log_softmax(dim=-1), batch)
        scores = _mean_log_probabilities(model, inputs, batch["option_lengths"])
        return by_row(scores, batch["options"])

    def evaluation_scores(self, model: nn.Module, rows: Sequence[Row]) -> torch.Tensor:
        """Mean log-probability of each option; a prompt is read once for all its options if it can be."""
        if all_single(rows):
            return self.scores(model, on_device(self.batch(rows), model))
        if can_share(model):
            return shared_prompt_scores(model, rows, self.tokenizer.pad_token_id)
        apart = [{**row, "options": [option], "labels": 0} for row in rows for option in row["options"]]
        return self.scores_apart(model, apart, [len(row["options"]) for row in rows])

    def scores_to_choose_by(
        self, model: nn.Module, rows: Sequence[Row], scores: torch.Tensor
    ) -> torch.Tensor:
        """The scores of some rows, calibrated if asked."""
        if not self.calibrated:
            return scores
        without = self.evaluation_scores(model, [row["context_free"] for row in rows])
        return torch.where(scores.isinf(), scores, scores - without)


def options_of(prompt: Prompt, example: Example) -> tuple[str, ...]:
    """The texts that may follow a prompt: the task's, or the row's own, with a space between."""
    if prompt.options:
        return prompt.options
    space = "" if prompt.render(example.texts)[-1:].isspace() else " "
    return tuple(space + option for option in example.options)


def all_single(rows: Sequence[Row]) -> bool:
    """Whether every option of every row is one token."""
    return all(len(option) == 1 for row in rows for option in row["options"])


def first_tokens(rows: Sequence[Row]) -> torch.Tensor:
    """The one token of each option, ``(rows, most options)``, filled up with zeros."""
    return pad_sequence([torch.tensor(row["options"])[:, 0] for row in rows], batch_first=True)


def of_single_tokens(log_probabilities: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Scores ``(rows, most options)`` of options of one token, out of ``(rows, vocabulary)``."""
    scores = log_probabilities.gather(1, batch["option_tokens"])
    absent = torch.arange(scores.shape[1], device=scores.device) >= batch["options"][:, None]
    return scores.masked_fill(absent, -torch.inf)


def _mean_log_probabilities(
    model: nn.Module, inputs: Mapping[str, torch.Tensor], lengths: torch.Tensor
) -> torch.Tensor:
    """Of the last tokens of each text, ``(texts,)``; ``lengths`` says how many."""
    longest = int(lengths.max())
    logits = last_logits(model, inputs, longest + 1)[:, -longest - 1 : -1]
    targets = inputs["input_ids"][:, -longest:]
    found = logits.float().log_softmax(dim=-1).gather(2, targets[..., None])[..., 0]
    counted = torch.arange(longest, 0, -1, device=lengths.device) <= lengths[:, None]
    return (found * counted).sum(-1) / lengths
