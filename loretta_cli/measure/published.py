"""Trainable parameters as LoRETTA prints them, beside which ``count-params --compare`` sets its own.

Numbers from Tables 1 and 2 of the paper; each reason says what makes the printed count another one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublishedCount:
    """A printed count.

    Args:
        trainable: As printed, in parameters: a number in millions with two decimals.
        reason: Why ours differs by more than the rounding; empty where it does not.
    """

    trainable: int
    reason: str = ""


_NO_POOLER = "the paper leaves the new pooler (590,592) out of its count"
_BIASES_ONLY = "the paper counts biases alone; the new head (592,130) trains whole here"
_NO_BIASES = "the paper leaves the adapters' biases out of its count"
_NORMS_NO_BIASES = "the paper counts the norms and leaves the adapters' biases out"

PUBLISHED: dict[tuple[str, str], PublishedCount] = {
    ("microsoft/deberta-base", "adp"): PublishedCount(100_000),
    ("microsoft/deberta-base", "rep"): PublishedCount(50_000),
    ("microsoft/deberta-base", "adapters"): PublishedCount(
        940_000, "the paper counts the norms (38,400) too"
    ),
    ("microsoft/deberta-base", "lora"): PublishedCount(300_000, _NO_POOLER),
    ("microsoft/deberta-base", "bitfit"): PublishedCount(100_000, _BIASES_ONLY),
    ("microsoft/deberta-base", "prompt"): PublishedCount(10_000, _NO_POOLER),
    ("meta-llama/Llama-2-7b-hf", "adp"): PublishedCount(880_000),
    ("meta-llama/Llama-2-7b-hf", "rep"): PublishedCount(510_000),
    ("meta-llama/Llama-2-7b-hf", "adapters"): PublishedCount(50_330_000, _NO_BIASES),
    ("meta-llama/Llama-2-7b-hf", "lora"): PublishedCount(4_190_000),
    ("meta-llama/Llama-2-7b-hf", "ia3"): PublishedCount(600_000, "the paper cuts 0.614M to two digits"),
    ("meta-llama/Llama-2-7b-hf", "prefix"): PublishedCount(1_310_000),
    ("meta-llama/Llama-2-13b-hf", "adp"): PublishedCount(1_670_000),
    ("meta-llama/Llama-2-13b-hf", "rep"): PublishedCount(770_000),
    ("meta-llama/Llama-2-13b-hf", "adapters"): PublishedCount(79_050_000, _NORMS_NO_BIASES),
    ("meta-llama/Llama-2-13b-hf", "lora"): PublishedCount(6_550_000),
    ("meta-llama/Llama-2-13b-hf", "ia3"): PublishedCount(960_000),
    ("meta-llama/Llama-2-70b-hf", "adp"): PublishedCount(
        4_790_000,
        "no natural mode shape gives the printed number; a misprint of 4.73M, or an unreleased shape",
    ),
    ("meta-llama/Llama-2-70b-hf", "rep"): PublishedCount(1_990_000),
    ("meta-llama/Llama-2-70b-hf", "adapters"): PublishedCount(252_970_000, _NORMS_NO_BIASES),
    ("meta-llama/Llama-2-70b-hf", "lora"): PublishedCount(16_380_000),
    ("meta-llama/Llama-2-70b-hf", "ia3"): PublishedCount(2_450_000),
}
"""(hub id, method) to the printed count."""
