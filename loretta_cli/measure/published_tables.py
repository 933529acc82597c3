"""The result tables of LoRETTA, MeZO and AdaZeta as they are printed. Pure data.

LoRETTA: NAACL 2024. MeZO: Tables 1 and 18. AdaZeta: its figure and a summary of its tables, as the paper
itself was not at hand. Scores are percentages; ``None`` is a cell that was not found.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Gradient = Literal["backprop", "zo"]

DEBERTA = "microsoft/deberta-base"
ROBERTA = "FacebookAI/roberta-base"
ROBERTA_LARGE = "FacebookAI/roberta-large"
LLAMA_7B = "meta-llama/Llama-2-7b-hf"
LLAMA_13B = "meta-llama/Llama-2-13b-hf"
LLAMA_70B = "meta-llama/Llama-2-70b-hf"
OPT_13B = "facebook/opt-13b"


class Table(NamedTuple):
    """A table, or the part of one that was trained alike.

    Args:
        name: As it is cited.
        gradient: How its rows were trained.
        tasks: The columns.
        rows: (model, method, settings that differ from the method's usual ones) to a score for each task.
    """

    name: str
    gradient: Gradient
    tasks: tuple[str, ...]
    rows: dict[tuple[str, str, str], tuple[float | None, ...]]


TABLES = (
    Table(
        "LoRETTA Table 1",
        "backprop",
        ("mnli", "sst2", "mrpc", "cola", "qnli", "qqp", "rte", "stsb"),
        {
            (DEBERTA, "full", ""): (88.67, 94.61, 91.98, 59.32, 93.04, 91.42, 68.23, 91.10),
            (DEBERTA, "adapters", ""): (87.69, 94.72, 88.88, 54.19, 92.95, 85.52, 59.20, 89.68),
            (DEBERTA, "lora", ""): (87.30, 94.95, 92.84, 60.56, 93.35, 85.19, 80.14, 90.13),
            (DEBERTA, "p-tuning", ""): (56.25, 91.39, 79.93, 43.31, 86.30, 78.43, 55.95, 78.38),
            (DEBERTA, "lora", "bottleneck=4"): (87.69, 94.49, 91.10, 62.57, 92.60, 87.30, 69.67, 91.12),
            (DEBERTA, "prompt", ""): (77.63, 92.43, 81.90, 32.99, 80.30, 78.15, 62.81, 56.71),
            (DEBERTA, "prefix", ""): (60.32, 88.87, 81.22, 45.82, 83.28, 82.22, 59.57, 84.99),
            (DEBERTA, "bitfit", ""): (84.63, 95.41, 91.42, 64.06, 93.20, 84.15, 66.79, 90.23),
            (DEBERTA, "adp", ""): (85.93, 95.30, 93.53, 60.84, 92.99, 84.08, 75.50, 91.32),
            (DEBERTA, "rep", ""): (86.80, 95.53, 88.73, 59.69, 93.25, 89.20, 75.81, 90.66),
            (ROBERTA, "bitfit", ""): (85.30, 94.80, 92.33, 62.70, 91.30, 68.10, 73.60, 88.50),
            (ROBERTA, "lora", ""): (86.82, 94.01, 91.48, 62.08, 92.39, 85.71, 74.51, 90.48),
            (ROBERTA, "adp", ""): (85.61, 94.38, 91.08, 62.70, 92.12, 87.22, 78.70, 90.26),
            (ROBERTA, "rep", ""): (84.40, 94.28, 90.63, 61.72, 92.40, 85.23, 74.42, 89.24),
        },
    ),
    Table(
        "LoRETTA Table 2",
        "backprop",
        ("cb", "boolq", "wsc", "copa", "record", "squad", "drop"),
        {
            (LLAMA_7B, "full", ""): (66.07, 84.6, 63.46, 86.0, 81.1, 90.71, 51.38),
            (LLAMA_7B, "adapters", ""): (66.07, 71.8, 62.50, 84.0, 78.8, 88.45, 49.14),
            (LLAMA_7B, "lora", ""): (67.86, 84.8, 62.50, 81.0, 79.4, 90.56, 45.96),
            (LLAMA_7B, "prefix", ""): (51.78, 78.6, 61.53, 83.0, 81.0, 90.56, 45.95),
            (LLAMA_7B, "ia3", ""): (64.29, 72.3, 36.53, 80.0, 81.5, 89.41, 39.37),
            (LLAMA_7B, "rep", ""): (55.35, 78.1, 57.61, 86.0, 80.3, 88.47, 42.71),
            (LLAMA_7B, "adp", ""): (66.07, 87.0, 63.46, 87.0, 80.0, 90.17, 51.60),
        },
    ),
    Table(
        "LoRETTA Table 3",
        "backprop",
        ("copa", "record", "squad", "drop"),
        {
            (LLAMA_13B, "adapters", ""): (90.0, 83.8, 93.37, 57.41),
            (LLAMA_13B, "lora", ""): (90.0, 83.4, 92.71, 59.13),
            (LLAMA_13B, "ia3", ""): (85.0, 84.2, 91.81, 51.48),
            (LLAMA_13B, "rep", ""): (86.0, 84.4, 90.87, 53.19),
            (LLAMA_13B, "adp", ""): (90.0, 83.9, 92.67, 59.41),
            (LLAMA_70B, "adapters", ""): (None, None, 93.37, 68.12),
            (LLAMA_70B, "lora", ""): (None, None, 93.78, 72.99),
            (LLAMA_70B, "ia3", ""): (None, None, 92.85, 71.48),
            (LLAMA_70B, "rep", ""): (None, None, 90.18, 68.83),
            (LLAMA_70B, "adp", ""): (None, None, 94.33, 74.50),
        },
    ),
    Table(
        "LoRETTA Table 4",
        "backprop",
        ("sst2", "mrpc", "qnli"),
        {
            (DEBERTA, "adapters", "after sst2, mrpc, qnli"): (51.83, 27.21, 90.21),
            (DEBERTA, "lora", "after sst2, mrpc, qnli"): (49.20, 20.15, 87.74),
            (DEBERTA, "adp", "after sst2, mrpc, qnli"): (52.29, 39.22, 91.52),
            (DEBERTA, "rep", "after sst2, mrpc, qnli"): (51.26, 52.94, 92.15),
        },
    ),
    Table(
        "LoRETTA Table 6",
        "backprop",
        ("sst2", "qnli"),
        {
            (DEBERTA, "adp", "tt_rank=2"): (95.41, 92.04),
            (DEBERTA, "adp", "tt_rank=5"): (95.30, 92.99),
            (DEBERTA, "adp", "tt_rank=10"): (94.84, 93.50),
            (DEBERTA, "adp", "tt_rank=20"): (95.41, 93.34),
            (DEBERTA, "rep", "tt_rank=2"): (94.61, 92.71),
            (DEBERTA, "rep", "tt_rank=5"): (94.4, 93.25),
            (DEBERTA, "rep", "tt_rank=10"): (94.95, 93.47),
            (DEBERTA, "rep", "tt_rank=20"): (95.07, 93.32),
        },
    ),
    Table(
        "LoRETTA Table 7",
        "backprop",
        ("sst2", "mrpc", "qnli"),
        {
            (DEBERTA, "adp", "mode_shapes=8x8x12x8x8"): (95.30, 93.53, 93.25),
            (DEBERTA, "adp", "mode_shapes=64x12x64"): (95.07, 93.05, 92.92),
            (DEBERTA, "adp", "mode_shapes=4x4x4x12x4x4x4"): (94.72, 90.72, 92.86),
        },
    ),
    Table(
        "LoRETTA Table 11",
        "backprop",
        ("sst2", "mrpc", "qnli"),
        {
            (DEBERTA, "adp", "head=tt, train_norms=false"): (94.38, 92.01, 92.98),
            (DEBERTA, "adp", "head=tt, train_norms=true"): (95.3, 92.53, 92.99),
            (DEBERTA, "adp", "head=dense, train_norms=false"): (93.0, 91.9, 93.15),
            (DEBERTA, "adp", "head=dense, train_norms=true"): (94.26, 91.09, 93.06),
            (DEBERTA, "adp", "head=frozen, train_norms=false"): (93.92, 92.11, 92.71),
            (DEBERTA, "adp", "head=frozen, train_norms=true"): (94.03, 91.31, 93.46),
            (DEBERTA, "rep", "head=tt, train_norms=false"): (93.81, 90.78, 90.15),
            (DEBERTA, "rep", "head=tt, train_norms=true"): (95.53, 88.73, 93.25),
            (DEBERTA, "rep", "head=dense, train_norms=false"): (95.41, 91.00, 92.57),
            (DEBERTA, "rep", "head=dense, train_norms=true"): (95.18, 91.88, 92.99),
            (DEBERTA, "rep", "head=frozen, train_norms=false"): (94.83, 87.5, 91.87),
            (DEBERTA, "rep", "head=frozen, train_norms=true"): (95.41, 91.19, 92.69),
        },
    ),
    Table(
        "MeZO Table 1",
        "backprop",
        ("sst2", "rte", "cb", "boolq", "wsc", "wic", "multirc", "copa", "record", "squad", "drop"),
        {
            (OPT_13B, "none", "zero-shot"): (
                *(58.8, 59.6, 46.4, 59.0, 38.5, 55.0, 46.9, 80.0, 81.2, 46.2, 14.6),
            ),
            (OPT_13B, "none", "32 rows in context"): (
                *(87.0, 62.1, 57.1, 66.9, 39.4, 50.5, 53.1, 87.0, 82.5, 75.9, 29.6),
            ),
            (OPT_13B, "full", ""): (92.0, 70.8, 83.9, 77.1, 63.5, 70.1, 71.1, 79.0, 74.1, 84.9, 31.3),
        },
    ),
    Table(
        "MeZO Table 1",
        "zo",
        ("sst2", "rte", "cb", "boolq", "wsc", "wic", "multirc", "copa", "record", "squad", "drop"),
        {
            (OPT_13B, "full", ""): (91.4, 66.1, 67.9, 67.6, 63.5, 61.1, 60.1, 88.0, 81.7, 84.7, 30.9),
            (OPT_13B, "lora", ""): (89.6, 67.9, 66.1, 73.8, 64.4, 59.7, 61.5, 84.0, 81.2, 83.8, 31.4),
            (OPT_13B, "prefix", ""): (90.7, 70.8, 69.6, 73.1, 60.6, 59.9, 63.7, 87.0, 81.4, 84.2, 28.9),
        },
    ),
    Table(
        "MeZO Table 18",
        "backprop",
        ("sst2", "sst5", "snli", "mnli", "rte", "trec"),
        {
            (ROBERTA_LARGE, "full", "shots=16"): (91.9, 47.5, 77.5, 70.0, 66.4, 85.0),
            (ROBERTA_LARGE, "full", "shots=512"): (93.9, 55.9, 88.7, 84.4, 82.7, 97.3),
        },
    ),
    Table(
        "MeZO Table 18",
        "zo",
        ("sst2", "sst5", "snli", "mnli", "rte", "trec"),
        {
            (ROBERTA_LARGE, "full", "shots=16"): (90.5, 45.5, 68.5, 58.7, 64.0, 76.9),
            (ROBERTA_LARGE, "lora", "shots=16"): (91.4, 43.0, 69.7, 64.0, 64.9, 73.1),
            (ROBERTA_LARGE, "full", "shots=16, optimizer=adam"): (90.4, 45.4, 74.1, 64.3, 59.2, 78.3),
            (ROBERTA_LARGE, "full", "shots=512"): (93.3, 53.2, 83.0, 78.3, 78.6, 94.3),
            (ROBERTA_LARGE, "lora", "shots=512"): (93.4, 52.4, 84.0, 77.9, 77.6, 95.0),
        },
    ),
    Table(
        "AdaZeta",
        "zo",
        ("rte", "cb", "boolq", "multirc", "copa", "squad"),
        {
            (LLAMA_7B, "adp", ""): (74.0, 75.0, 79.4, 68.2, 94.0, 80.0),
            (LLAMA_7B, "full", ""): (54.6, None, None, None, None, None),
            (LLAMA_7B, "lora", ""): (59.6, None, None, None, None, None),
        },
    ),
    Table(
        "AdaZeta",
        "zo",
        ("rte", "sst5", "mr"),
        {
            (ROBERTA_LARGE, "adp", "shots=16"): (66.8, 48.3, 87.0),
            (ROBERTA_LARGE, "lora", "shots=16, batch_size=16"): (52.7, 44.8, 85.7),
            (ROBERTA_LARGE, "lora", "shots=16, batch_size=64"): (63.9, 43.0, 87.4),
        },
    ),
    Table(
        "AdaZeta figure",
        "zo",
        ("sst2", "wic"),
        {
            (LLAMA_7B, "adp", ""): (0.20, 0.675),
        },
    ),
)
