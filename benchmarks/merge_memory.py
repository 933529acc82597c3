r"""Peak memory of ``loretta merge`` of a model in several files, beside that of reading its config.

Usage::

    python -m benchmarks.merge_memory --folder /tmp/merge-memory
    python -m benchmarks.merge_memory --folder /tmp/merge-memory --megabytes 2000 --files 8 --json

A random LLaMA of about the asked size is written in files of equal size, and a run with a random rep adapter
on it. Two processes of their own then plan the run, and plan and merge it, verified by layers. What the
second needs more than the first is to stay below 1.2 times the largest file. The folder has to be new; it
holds the model twice.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LIMIT = 1.2
"""Times the largest file."""
HIDDEN = 1024
WORDS = ("the", "film", "was", "great", "terrible", "good", "bad", "It")
HIGH_WATER = "VmHWM:"


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured, in bytes.

    Args:
        model: Of all files of the base model.
        files: How many there are.
        largest_file: Of them.
        base_peak: Resident in the process that only plans.
        merge_peak: Resident in the process that merges.
        above: What merging needs more.
        share_of_file: The same over the largest file.
        seconds: Of the merge, with its verification.
        max_abs_layer_difference: As the merge reports it.
    """

    model: int
    files: int
    largest_file: int
    base_peak: int
    merge_peak: int
    above: int
    share_of_file: float
    seconds: float
    max_abs_layer_difference: float

    @property
    def holds(self) -> bool:
        """Whether the limit was kept."""
        return self.share_of_file <= LIMIT


def measure(folder: Path, *, megabytes: int, files: int, dtype: str, hidden: int = HIDDEN) -> Result:
    """Make a model and a run, and measure what merging takes.

    Args:
        folder: New; for model, run and merged model.
        megabytes: Of the model.
        files: About how many it is to have.
        dtype: Of its weights.
        hidden: Its width.
    """
    sizes = {"megabytes": megabytes, "files": files, "dtype": dtype, "hidden": hidden}
    _in_a_process(f"make(Path(sys.argv[1]), **{sizes!r})", folder)
    base = _in_a_process("plan(Path(sys.argv[1]))", folder)
    merged = _in_a_process("merge_it(Path(sys.argv[1]))", folder)
    found = [file.stat().st_size for file in (folder / "model").glob("*.safetensors")]
    above = merged["peak"] - base["peak"]
    return Result(
        model=sum(found),
        files=len(found),
        largest_file=max(found),
        base_peak=base["peak"],
        merge_peak=merged["peak"],
        above=above,
        share_of_file=above / max(found),
        seconds=merged["seconds"],
        max_abs_layer_difference=merged["difference"],
    )


def _in_a_process(call: str, folder: Path) -> dict[str, Any]:
    script = f"import sys\nfrom pathlib import Path\nfrom benchmarks.merge_memory import *\n{call}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    last = done.stdout.strip().splitlines()[-1:]
    return dict(json.loads(last[0])) if last else {}


def make(folder: Path, *, megabytes: int, files: int, dtype: str, hidden: int) -> None:
    """Write model, tokenizer, rows and a run with a random rep adapter, below ``folder``."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from loretta_cli.artifacts.run_folder import RunFolder
    from loretta_cli.config import load_config, write_config
    from loretta_cli.planning.plan import load_base, make_plan, put_adapter

    tokenizer = _tokenizer()
    inner, width = 4 * hidden, getattr(torch, dtype).itemsize
    layer = (4 * hidden * hidden + 3 * hidden * inner) * width
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=max(2, round(megabytes * 10**6 / layer)),
        num_attention_heads=8,
        max_position_embeddings=128,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config).to(getattr(torch, dtype))
    size = sum(one.numel() * one.element_size() for one in model.parameters())
    model.save_pretrained(folder / "model", max_shard_size=math.ceil(size / files * 1.02))
    tokenizer.save_pretrained(folder / "model")
    del model
    (folder / "rows").mkdir()
    rows = [
        "sentence,label",
        *(f"the film was {word},{label}" for word, label in (("good", 1), ("bad", 0)) * 8),
    ]
    for split in ("train", "validation"):
        (folder / "rows" / f"{split}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    flags = {"model.name": str(folder / "model"), "task.name": "sst2", "data.source": str(folder / "rows")}
    plan = make_plan(load_config(None, {**flags, "adapter.method": "rep"}, []).config)
    adapted = put_adapter(plan, load_base(plan))
    for parameter in adapted.model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    run = RunFolder(folder / "run")
    adapted.model.save_pretrained(str(run.adapter))
    write_config(adapted.config, run.config_file)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["<pad>", "<unk>", "</s>", *WORDS]
    tokenizer = Tokenizer(
        models.WordLevel({piece: index for index, piece in enumerate(pieces)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="</s>"
    )


def plan(folder: Path) -> None:
    """Import what merging imports, plan the run, and print the peak."""
    import loretta_cli.artifacts.merge  # noqa: F401
    from loretta_cli.artifacts.run_folder import RunFolder
    from loretta_cli.planning.plan import make_plan

    make_plan(RunFolder(folder / "run").read_config())
    print(json.dumps({"peak": peak_bytes()}))


def merge_it(folder: Path) -> None:
    """Merge the run, verified by layers, and print the peak."""
    from loretta_cli.artifacts.merge import MergeRequest, merge
    from loretta_cli.artifacts.run_folder import RunFolder
    from loretta_cli.report import SilentReporter

    begun = time.perf_counter()
    request = MergeRequest(RunFolder(folder / "run"), folder / "merged", verify="layers")
    report = merge(request, SilentReporter())
    found = {"seconds": time.perf_counter() - begun, "difference": report.verification.of_layers}
    print(json.dumps({"peak": peak_bytes(), **found}))


def peak_bytes() -> int:
    """The most memory that was resident in this process, without that of the one that started it."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        from loretta_cli.measure.memory import peak_memory_bytes

        return peak_memory_bytes()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(HIGH_WATER))


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print three lines or one JSON document; exit 1 if the limit was not kept."""
    args = parser().parse_args(arguments)
    if args.folder.exists() and any(args.folder.iterdir()):
        raise SystemExit(f"{args.folder} is not empty.")
    result = measure(
        args.folder, megabytes=args.megabytes, files=args.files, dtype=args.dtype, hidden=args.hidden
    )
    if args.json:
        print(json.dumps({**asdict(result), "holds": result.holds}))
    else:
        print(
            f"model: {result.model / 1e6:.0f} MB in {result.files} files, the largest "
            f"{result.largest_file / 1e6:.0f} MB\n"
            f"peak: {result.base_peak / 1e6:.0f} MB to plan, {result.merge_peak / 1e6:.0f} MB to merge: "
            f"{result.above / 1e6:.0f} MB above, {result.share_of_file:.2f} of that file (limit {LIMIT})\n"
            f"{result.seconds:.1f} s; largest layer difference {result.max_abs_layer_difference:.2g}"
        )
    if not result.holds:
        raise SystemExit(1)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--folder", type=Path, required=True, help="new, with room for the model twice")
    made.add_argument("--megabytes", type=int, default=1000)
    made.add_argument("--files", type=int, default=4)
    made.add_argument("--hidden", type=int, default=HIDDEN)
    made.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    made.add_argument("--json", action="store_true")
    return made


if __name__ == "__main__":
    main()
