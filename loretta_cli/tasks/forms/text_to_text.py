"""The prompt form of encoder-decoders: the encoder reads the prompt, the decoder answers with an option.

Prompt and options are texts of their own, so an option begins without the space that joins it to a prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from loretta_cli.tasks.base import Example, Texts
from loretta_cli.tasks.encoding import check_options, fitting_prompt, padded
from loretta_cli.tasks.forms.base import Batch, Row
from loretta_cli.tasks.forms.options import by_row, labels_of
from loretta_cli.tasks.forms.prompt import (
    PromptForm,
    all_single,
    first_tokens,
    of_single_tokens,
    options_of,
)


@dataclass(frozen=True, slots=True)
class TextToTextForm(PromptForm):
    """A prompt for the encoder and options for the decoder.

    Args:
        decoder_start: The token that the decoder begins with.
    """

    decoder_start: int = 0

    def _encode(self, example: Example) -> tuple[Row, bool]:
        texts = options_of(self.prompt, example)
        options = [
            self.tokenizer(option.strip(), add_special_tokens=False, verbose=False)["input_ids"]
            for option in texts
        ]
        check_options(texts, options)

        def tokens(row: Texts) -> tuple[list[int], int]:
            ids = list(self.tokenizer(self.prompt.render(row), verbose=False)["input_ids"])
            return ids, len(ids)

        ids, cut = fitting_prompt(example.texts, self.prompt.cut, self.tokenizer, self.max_length, tokens)
        row = {"input_ids": ids, "decoder_input_ids": [self.decoder_start], "options": options}
        return {**row, "labels": example.label}, cut

    def batch(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """Prompts padded on the right, and what the decoder is given.

        Returns:
            ``input_ids`` and ``attention_mask`` ``(texts, length)``, ``decoder_input_ids``
            ``(texts, answer)``, ``labels`` ``(rows,)``, ``options`` ``(rows,)``, and either
            ``option_tokens`` ``(rows, options)``, or ``option_lengths`` ``(texts,)`` with the tokens to score
            in ``answer_ids`` ``(texts, answer)``.
        """
        batch = {
            "labels": labels_of(rows),
            "options": torch.tensor([len(row["options"]) for row in rows]),
        }
        pad = self.tokenizer.pad_token_id
        if all_single(rows):
            batch["option_tokens"] = first_tokens(rows)
            batch["decoder_input_ids"] = torch.tensor([row["decoder_input_ids"] for row in rows])
            return batch | padded([row["input_ids"] for row in rows], pad, side="right")
        answers = [(row, option) for row in rows for option in row["options"]]
        # Each position of the decoder sees those before it only, so padding behind an answer needs no mask.
        given = [[*row["decoder_input_ids"], *option[:-1]] for row, option in answers]
        batch["decoder_input_ids"] = padded(given, pad, side="right")["input_ids"]
        batch["answer_ids"] = padded([option for _, option in answers], pad, side="right")["input_ids"]
        batch["option_lengths"] = torch.tensor([len(option) for _, option in answers])
        return batch | padded([row["input_ids"] for row, _ in answers], pad, side="right")

    def scores(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Mean log-probability of each option's tokens as the answer of the decoder."""
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "decoder_input_ids")}
        logits: torch.Tensor = model(**inputs, use_cache=False).logits
        log_probabilities = logits.float().log_softmax(dim=-1)
        if "option_tokens" in batch:
            return of_single_tokens(log_probabilities[:, 0], batch)
        lengths = batch["option_lengths"]
        found = log_probabilities.gather(2, batch["answer_ids"][..., None])[..., 0]
        counted = torch.arange(found.shape[1], device=lengths.device) < lengths[:, None]
        return by_row((found * counted).sum(-1) / lengths, batch["options"])
