r"""Time and peak memory of a training step of adp and rep beside LoRA r=8, case by case.

Usage::

    python -m benchmarks.step_time --threads 1 --pairs 30
    python -m benchmarks.step_time --case minilm-32x64 --json
    python -m benchmarks.step_time --case smollm2-8x32 --model FOLDER
    python -m benchmarks.step_time --contraction
    python -m benchmarks.step_time --device cuda --dtype bfloat16 --case llama-1b-1x512

A step is forward, backward and AdamW step. Ratios are medians over pairs that ran one after the other,
with their quartiles; the seconds are medians. Peak memory counts the tensors alive at the worst moment
of a step. "q,v" is LoRA on the layers that rep adapts, "there" LoRA on the layers of the contender
itself.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks.step_time.cases import CASES, Case, Setting
from benchmarks.step_time.contenders import make_contenders
from benchmarks.step_time.contraction import contraction_tables
from benchmarks.step_time.measuring import peak_rise_bytes, take_turns
from benchmarks.step_time.results import Clock, Row, make_rows, markdown


def measure(case: Case, setting: Setting, *, pairs: int, clock: Clock, fused: bool = False) -> list[Row]:
    """Measure one case.

    Args:
        case: What to measure.
        setting: Device, dtype, weights.
        pairs: Timed rounds, each of which gives one ratio of every pair.
        clock: Whether ratios of wall time or of CPU time are reported.
        fused: Whether AdamW is the fused one.
    """
    torch.manual_seed(0)
    contenders = make_contenders(case.build(setting, case.rows, case.tokens), fused=fused)
    times = take_turns({one.name: one.step for one in contenders}, pairs, setting.device)
    peaks = {one.name: one.resident_bytes() + peak_rise_bytes(one.step, setting.device) for one in contenders}
    return make_rows(times, peaks, {one.name: one.trainable for one in contenders}, clock)


def main(arguments: list[str] | None = None) -> None:
    """Run the cases and print their tables, or one JSON document."""
    args = parser().parse_args(arguments)
    warnings.filterwarnings("ignore")
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler says on stderr when it starts
    torch.set_num_threads(args.threads)
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    setting = Setting(torch.device(args.device), getattr(torch, args.dtype), args.model)
    clock: Clock = args.clock or ("cpu" if args.device == "cpu" and args.threads == 1 else "wall")
    print(_circumstances(args, clock), file=sys.stderr, flush=True)
    if args.contraction:
        for tokens in (64, 2048):
            tables = contraction_tables(tokens=tokens, pairs=args.pairs, clock=clock, device=setting.device)
            print(f"\n{tables}", flush=True)
        return
    results = []
    for case in CASES:
        if case.name in (args.case or [one.name for one in CASES if one.by_default]):
            rows = measure(case, setting, pairs=args.pairs, clock=clock, fused=args.fused)
            results.append({"case": case.name, "rows": [row.as_json() for row in rows]})
            if not args.json:
                print(f"\n{markdown(case.title, rows)}", flush=True)
            gc.collect()
    if args.json:
        about = {"device": args.device, "dtype": args.dtype, "threads": args.threads, "clock": clock}
        print(json.dumps({**about, "fused": args.fused, "pairs": args.pairs, "cases": results}))


def _circumstances(args: argparse.Namespace, clock: Clock) -> str:
    device = torch.cuda.get_device_name() if args.device == "cuda" else f"CPU, {args.threads} thread(s)"
    return f"{device}, {args.dtype}, torch {torch.__version__}, {clock} time, {args.pairs} pairs"


def parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.step_time",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    several = {"action": "append", "choices": [case.name for case in CASES]}
    options: dict[str, dict[str, Any]] = {
        "--case": several | {"help": "may be repeated; all that fit a CPU if left out"},
        "--model": {
            "type": Path,
            "help": "folder of SmolLM2-135M; random weights of its shape if left out",
        },
        "--device": {"default": "cpu", "choices": ["cpu", "cuda"]},
        "--dtype": {"default": "float32", "choices": ["float32", "bfloat16", "float16"]},
        "--threads": {"type": int, "default": 1},
        "--pairs": {"type": int, "default": 30},
        "--clock": {"choices": ["wall", "cpu"], "help": "cpu for one thread on a CPU, wall otherwise"},
        "--fused": {"action": "store_true", "help": "fused AdamW (training.optimizer=adamw_fused)"},
        "--contraction": {"action": "store_true", "help": "measure the choices of the contraction instead"},
        "--json": {"action": "store_true"},
    }
    for name, settings in options.items():
        made.add_argument(name, **settings)
    return made


if __name__ == "__main__":
    main()
