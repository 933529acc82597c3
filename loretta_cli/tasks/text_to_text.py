"""The prompt form of encoder-decoders: the encoder reads the prompt, the decoder answers with an option.

Prompt and options are texts of their own, so an option begins without the space that joins it to a prompt.
Imports torch only for the tensors of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from loretta_cli.errors import DataError
from loretta_cli.tasks.base import Example, Task
from loretta_cli.tasks.encoding import Encoded, Tokenizer, check_options, fitting_prompt, padded


def encode_text_to_text(
    task: Task, examples: Sequence[Example], tokenizer: Tokenizer, max_length: int, decoder_start: int
) -> Encoded:
    """Rows ``{"input_ids", "decoder_input_ids", "options", "labels"}`` for option ranking.

    ``input_ids`` is the prompt as the tokenizer encodes a text, ``decoder_input_ids`` the one token that the
    decoder begins with, ``options`` the token ids of each label.

    Raises:
        DataError: If a prompt cannot be made short enough.
        ConfigError: If two options have the same tokens.
    """
    prompt = task.prompt
    options = [
        tokenizer(option.strip(), add_special_tokens=False, verbose=False)["input_ids"]
        for option in prompt.options
    ]
    check_options(prompt, options)

    def tokens(texts: Mapping[str, str]) -> tuple[list[int], int]:
        ids = list(tokenizer(prompt.render(texts), verbose=False)["input_ids"])
        return ids, len(ids)

    rows, shortened = [], 0
    for example in examples:
        ids, cut = fitting_prompt(prompt, example, tokenizer, max_length, tokens)
        shortened += cut
        row = {"input_ids": ids, "decoder_input_ids": [decoder_start], "options": options}
        rows.append({**row, "labels": example.label})
    return Encoded(tuple(rows), shortened)


def check_end_tokens(rows: Sequence[Mapping[str, Any]], tokenizer: Any) -> None:
    """Refuse rows that the classification head of an encoder-decoder cannot read.

    It looks at the last end-of-text token, and transformers wants the same number of them in every row.

    Raises:
        DataError: If a row has none, or not as many as the others.
    """
    end = tokenizer.eos_token_id
    counts = [row["input_ids"].count(end) for row in rows]
    if len(set(counts)) > 1:
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


@dataclass(frozen=True, slots=True)
class TextToTextCollator:
    """Pads prompts on the right and adds what the decoder is given.

    Where every option is one token, a prompt is one row and the options are read off the decoder's first
    position. Otherwise a prompt makes one row an option.
    """

    pad_token_id: int

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Make a batch.

        Returns:
            ``input_ids`` and ``attention_mask`` ``(rows, length)``, ``decoder_input_ids`` ``(rows, answer)``,
            ``labels`` ``(batch,)``, and either ``option_tokens`` ``(batch, options)``, or ``option_lengths``
            ``(batch, options)`` with the tokens to score in ``answer_ids`` ``(rows, answer)``.
        """
        batch = {"labels": torch.tensor([row["labels"] for row in rows])}
        if all(len(option) == 1 for row in rows for option in row["options"]):
            batch["option_tokens"] = torch.tensor([[option[0] for option in row["options"]] for row in rows])
            batch["decoder_input_ids"] = torch.tensor([row["decoder_input_ids"] for row in rows])
            return batch | padded([row["input_ids"] for row in rows], self.pad_token_id, side="right")
        answers = [(row, option) for row in rows for option in row["options"]]
        # Each position of the decoder sees those before it only, so padding behind an answer needs no mask.
        given = [[*row["decoder_input_ids"], *option[:-1]] for row, option in answers]
        batch["decoder_input_ids"] = padded(given, self.pad_token_id, side="right")["input_ids"]
        scored = [option for _, option in answers]
        batch["answer_ids"] = padded(scored, self.pad_token_id, side="right")["input_ids"]
        batch["option_lengths"] = torch.tensor([list(map(len, row["options"])) for row in rows])
        return batch | padded([row["input_ids"] for row, _ in answers], self.pad_token_id, side="right")
