"""Whether llama.cpp says what transformers says, on a run's rows: log-probabilities and continuations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import nn

from loretta_cli.artifacts.comparison import Comparison
from loretta_cli.artifacts.engines.llama_cpp import Option, ask
from loretta_cli.errors import DataError

TOLERANCE = 0.05
"""Of a log-probability, with weights of f32 or f16 in the GGUF file."""
NOISE = {"f32": 0.005, "f16": 0.02, "bf16": TOLERANCE}
"""What rounding may make of it, by the number type of the file, however little an adapter does. On a decoder
of 135 million numbers it was 2e-4 with f32 and 1e-2 with f16; bf16 was not measured."""
PROMPTS = 10
CONTINUATION = 16
LONGEST_OPTION = 16
"""Tokens of an option that are scored; the rest of a long answer tells no more."""


@dataclass(frozen=True, slots=True)
class Step:
    """A token of a greedy continuation.

    Args:
        token: The likeliest.
        runner_up: The second.
        lead: By how much the log-probability of the first is larger.
    """

    token: int
    runner_up: int
    lead: float


@dataclass(frozen=True, slots=True)
class Reference:
    """What transformers computed.

    Args:
        prompts: Those that were continued.
        continuations: Of each prompt.
        options: Those that were scored.
        scores: Log-probability of each token of each option.
        rows: How many rows the options come from.
        effect: The most that the adapter changes one of them; infinite for a model without one.
    """

    prompts: list[list[int]]
    continuations: list[list[Step]]
    options: list[Option]
    scores: list[list[float]]
    rows: int
    effect: float = math.inf


@dataclass(frozen=True, slots=True)
class Agreement:
    """How llama.cpp compares with transformers.

    Args:
        comparison: Of the log-probabilities of option tokens.
        same: How many greedy continuations are the same.
        ties: How many part where transformers has two tokens closer together than the tolerance.
        prompts: How many were continued.
    """

    comparison: Comparison
    same: int
    ties: int
    prompts: int

    @property
    def passed(self) -> bool:
        """Whether the numbers are within the tolerance, and no continuation parts but at a tie."""
        return self.comparison.passed and self.same + self.ties == self.prompts


def reference(model: nn.Module, rows: Sequence[dict[str, Any]]) -> Reference:
    """Compute in transformers what :func:`agreement` asks llama.cpp for.

    Args:
        model: A causal language model, in evaluation mode; best in fp32.
        rows: Encoded rows of a run: prompts with options, or texts, of which the second half is scored;
            one of a single token has no half.

    Raises:
        DataError: If no row has anything to score.
    """
    options = [option for row in rows for option in _options(row)]
    if not options:
        raise DataError(
            "No row has two tokens, so there is nothing to compare the engine on.",
            hint="Give other rows with --data.",
        )
    prompts = [list(option.prompt) for row in rows[:PROMPTS] for option in _options(row)[:1]]
    with torch.inference_mode():
        scores = [_scores(model, option) for option in options]
        continuations = [_continued(model, prompt) for prompt in prompts]
        effect = _effect(model, options, scores) if isinstance(model, PeftModel) else math.inf
    return Reference(prompts, continuations, options, scores, len(rows), effect)


def _effect(model: PeftModel, options: Sequence[Option], scores: Sequence[Sequence[float]]) -> float:
    """The most that an adapter changes a score."""
    with model.disable_adapter():
        without = [_scores(model, option) for option in options]
    return max(
        abs(one - two) for pair in zip(scores, without, strict=True) for one, two in zip(*pair, strict=True)
    )


def agreement(
    found: Reference,
    model: Path,
    *,
    adapters: Sequence[Path] = (),
    tolerance: float = TOLERANCE,
    noise: float = 0.0,
) -> Agreement:
    """Ask llama.cpp, and compare.

    Args:
        found: What transformers said.
        model: The GGUF file of the model.
        adapters: LoRA files for it.
        tolerance: Accepted difference of a log-probability, but no more than half of the adapter's effect: a
            model without the adapter must not pass.
        noise: Accepted whatever that effect is.

    Raises:
        EngineError: If llama.cpp cannot load the files.
    """
    told = ask(
        model,
        adapters=adapters,
        prompts=found.prompts,
        length=CONTINUATION,
        options=found.options,
        threads=torch.get_num_threads(),
    )
    here = torch.tensor([score for scores in found.scores for score in scores])
    there = torch.tensor([score for scores in told.options for score in scores])
    tolerance = min(tolerance, max(found.effect / 2, noise))
    comparison = Comparison(float((here - there).abs().max()), tolerance, found.rows)
    parts = [_parting(*pair) for pair in zip(found.continuations, told.continuations, strict=True)]
    ties = sum(part is not None and part < tolerance for part in parts)
    return Agreement(comparison, parts.count(None), ties, len(parts))


def _options(row: dict[str, Any]) -> list[Option]:
    ids = row["input_ids"]
    if "options" in row:
        return [Option(ids, option[:LONGEST_OPTION]) for option in row["options"]]
    half = len(ids) // 2
    return [Option(ids[:half], ids[half:][:LONGEST_OPTION])] if half else []


def _scores(model: nn.Module, option: Option) -> list[float]:
    tokens = list(option.tokens)
    ids = torch.tensor([[*option.prompt, *tokens]], device=next(model.parameters()).device)
    logits = model(input_ids=ids, use_cache=False).logits[0, -len(tokens) - 1 : -1].float()
    found = logits.log_softmax(-1).cpu().gather(1, torch.tensor(tokens)[:, None])[:, 0]
    values: list[float] = found.tolist()
    return values


def _continued(model: nn.Module, prompt: list[int]) -> list[Step]:
    device = next(model.parameters()).device
    ids, cache, steps = prompt, None, []
    for _ in range(CONTINUATION):
        output = model(input_ids=torch.tensor([ids], device=device), past_key_values=cache, use_cache=True)
        best = output.logits[0, -1].float().topk(2)
        token, runner_up = best.indices.tolist()
        steps.append(Step(token, runner_up, float(best.values[0] - best.values[1])))
        ids, cache = [token], output.past_key_values
    return steps


def _parting(steps: list[Step], tokens: list[int]) -> float | None:
    """None for the same continuation; else by how much transformers was sure where the two part."""
    if not tokens:
        return float("inf")
    # llama.cpp ends a text where its vocabulary says that it ends.
    for step, token in zip(steps, tokens, strict=False):
        if step.token != token:
            return step.lead if token == step.runner_up else float("inf")
    return None
