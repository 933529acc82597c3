"""The forward passes of a training and an evaluation as their forms make them, on shapes alone.

A form reads values out of its batches (which options, how many tokens of each), which a batch on the meta
device has not. So what a form asks of the model is asked here again, of a real batch's shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from loretta_cli.tasks.encoding import padded
from loretta_cli.tasks.forms import Row, TaskForm
from loretta_cli.tasks.forms.base import Batch
from loretta_cli.tasks.forms.causal import can_share, last_logits, model_inputs
from loretta_cli.tasks.forms.token_losses import MOST_TOKENS

META = torch.device("meta")


def row_length(row: Row) -> int:
    """Tokens of the longest text that a row makes: its own, or a prompt with the longest option behind it."""
    ids = row["input_ids"]
    longest = max(map(len, ids)) if ids and isinstance(ids[0], list) else len(ids)
    if "decoder_input_ids" in row:
        return longest
    return longest + max(map(len, row.get("options", ((),))))


def longest_rows(rows: Sequence[Row], count: int) -> list[Row]:
    """So many of the rows with the most tokens."""
    return sorted(rows, key=row_length, reverse=True)[:count]


def largest_batch(rows: Sequence[Row], count: int) -> list[Row]:
    """Of the batches that an evaluation makes, rows of like length together, the one with the most tokens."""
    order = sorted(rows, key=row_length)
    batches = [order[start : start + count] for start in range(0, len(order), count)]
    return max(batches, key=padded_tokens, default=[])


def padded_tokens(batch: Sequence[Row]) -> int:
    """Tokens of a batch whose rows are as long as its longest."""
    return len(batch) * max(map(row_length, batch), default=0)


def loss_of(form: TaskForm, model: nn.Module, rows: Sequence[Row]) -> torch.Tensor:
    """The loss of a batch to train on, a scalar on the meta device."""
    log_probabilities = _log_probabilities(form, model, form.collate(rows))
    one = torch.zeros((*log_probabilities.shape[:-1], 1), dtype=torch.long, device=META)
    return log_probabilities.gather(-1, one).mean()


def evaluation_passes(
    form: TaskForm, model: nn.Module, rows: Sequence[Row], *, writes: bool
) -> list[Callable[[], object]]:
    """What an evaluation of a batch does, one piece of work after the other.

    Args:
        form: How the model meets the task.
        model: On the meta device.
        rows: The batch.
        writes: Whether texts are generated.
    """
    if form.name == "generation":
        size = max(1, MOST_TOKENS // max(row["weight"] for row in rows))
        found: list[Callable[[], object]] = [lambda: loss_of(form, model, rows[:size])]
        if writes and form.task.generation is not None:
            new = form.task.generation.max_new_tokens
            found.append(lambda: _written(form, model, rows, new))
        return found
    is_single = all(len(option) == 1 for row in rows for option in row.get("options", ()))
    if form.name == "prompt" and not is_single:
        if can_share(model):
            return [lambda: _shared(form, model, rows)]
        apart = [{**row, "options": [option], "labels": 0} for row in rows for option in row["options"]]
        return [lambda: loss_of(form, model, longest_rows(apart, len(rows)))]
    if form.name == "classification" and isinstance(rows[0]["input_ids"][0], list):
        # The texts of a row's options are read apart, no more at once than there are rows.
        first = [{**row, **{name: row[name][:1] for name in row if name != "labels"}} for row in rows]
        return [lambda: loss_of(form, model, [{**row, "labels": 0} for row in first])]
    return [lambda: loss_of(form, model, rows)]


def _log_probabilities(form: TaskForm, model: nn.Module, batch: Batch) -> torch.Tensor:
    """What a form makes of a model's logits."""
    return _logits(form, model, batch).float().log_softmax(-1)


def _logits(form: TaskForm, model: nn.Module, batch: Batch) -> torch.Tensor:
    """The logits that a form asks a model for."""
    shapes = {name: torch.zeros_like(value, device=META) for name, value in batch.items()}
    found: torch.Tensor
    if form.name == "classification":
        inputs = {name: value for name, value in shapes.items() if name not in ("labels", "options")}
        found = model(**inputs).logits
        return found
    inputs = {name: shapes[name] for name in ("input_ids", "attention_mask")}
    if form.name == "masked":
        with _one_place(model):
            found = model(**inputs).logits
        return found
    if "decoder_input_ids" in shapes:
        found = model(**inputs, decoder_input_ids=shapes["decoder_input_ids"], use_cache=False).logits
        return found
    inputs = model_inputs(model, inputs)
    if "option_tokens" in batch:
        return last_logits(model, inputs, 1)[:, -1]
    longest = int(batch["option_lengths"].max())
    return last_logits(model, inputs, longest + 1)[:, -longest - 1 : -1]


@contextmanager
def _one_place(model: Any) -> Iterator[None]:
    """Give the output layer one place of each row, as the masked form does."""
    output = model.get_output_embeddings()
    hook = output.register_forward_pre_hook(lambda _, inputs: (inputs[0][:, 0], *inputs[1:]))
    try:
        yield
    finally:
        hook.remove()


def _prompts(form: TaskForm, rows: Sequence[Row], more: int = 0) -> dict[str, torch.Tensor]:
    """The prompts of rows, and room for more tokens behind them."""
    texts = [list(row["input_ids"]) + [0] * more for row in rows]
    found = padded(texts, form.tokenizer.pad_token_id, side="left")
    return {name: torch.zeros_like(value, device=META) for name, value in found.items()}


def _shared(form: TaskForm, model: Any, rows: Sequence[Row]) -> torch.Tensor:
    """Options behind prompts that are read once: as many as there are rows, each with a copy of the keys."""
    prompts = _prompts(form, rows)
    read = model(**model_inputs(model, prompts), use_cache=True)
    longest = max(len(option) for row in rows for option in row["options"])
    kept = [(layer.keys, layer.values) for layer in read.past_key_values.layers]
    read.past_key_values.batch_select_indices(torch.arange(len(rows), device=META))
    ids = torch.zeros((len(rows), max(1, longest - 1)), dtype=torch.long, device=META)
    mask = torch.ones(
        (len(rows), prompts["input_ids"].shape[1] + ids.shape[1]), dtype=torch.long, device=META
    )
    logits = model(input_ids=ids, attention_mask=mask, past_key_values=read.past_key_values).logits
    del kept
    found: torch.Tensor = logits.float().log_softmax(-1)
    return found


def _written(form: TaskForm, model: Any, rows: Sequence[Row], new: int) -> object:
    """Prompts with the keys and values of all that is written behind them."""
    if "decoder_input_ids" in rows[0]:
        inputs = _prompts(form, rows)
        inputs["decoder_input_ids"] = torch.zeros((len(rows), new), dtype=torch.long, device=META)
        return model(**inputs, use_cache=True)
    return last_logits_and_keys(model, _prompts(form, rows, new))


def last_logits_and_keys(model: Any, prompts: dict[str, torch.Tensor]) -> object:
    """What the first token of a generation is chosen by, and what the next ones are read behind."""
    inputs = model_inputs(model, prompts)
    try:
        return model(**inputs, logits_to_keep=1, use_cache=True)
    except TypeError:
        return model(**inputs, use_cache=True)
