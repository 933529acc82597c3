r"""The memory that ``train --dry-run`` estimates, beside the memory that the training then takes.

Usage::

    python -m benchmarks.memory_estimate
    python -m benchmarks.memory_estimate --models bundled:minilm ./my-model --batches 4 16 --json

Each case is a training of a few steps with two evaluations, in a process of its own, on made-up rows of very
different lengths. On a CPU its memory is the most that was resident, less what is resident after the same
training of the same architecture with one block of width 16 in the same process: that is the program itself,
Python, torch and everything that a run imports sooner or later. On a GPU it is the most that torch's
allocator has handed out. Exits with 1 if an estimate is off by more than a quarter.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.merge_memory import peak_bytes

LIMIT = 0.25
"""Most that an estimate may be off, as a share of what was measured."""
STEPS = 6
ROWS, WORDS = 192, 90
TINY = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
"""What is left of an architecture for the memory of the program."""


@dataclass(frozen=True, slots=True)
class Case:
    """A training.

    Args:
        model: Its name.
        batch: Rows in a batch.
        gradient: ``backprop`` or ``zo``.
        checkpointing: Whether activations are computed again in the backward pass.
    """

    model: str
    batch: int
    gradient: str
    checkpointing: bool = False

    @property
    def settings(self) -> list[str]:
        """Overrides of the config."""
        found = [
            f"training.batch_size={self.batch}",
            f"training.gradient={self.gradient}",
            f"data.train_rows={STEPS * self.batch}",  # all of them are seen, the longest too
            f"training.max_steps={STEPS}",
            f"training.evaluate_every={STEPS // 2}",
        ]
        return [*found, "training.gradient_checkpointing=true"] if self.checkpointing else found

    @property
    def name(self) -> str:
        """For the eye."""
        more = ", checkpointing" if self.checkpointing else ""
        return f"{Path(self.model).name}, batch {self.batch}, {self.gradient}{more}"


@dataclass(frozen=True, slots=True)
class Result:
    """What was found of a case, in bytes.

    Args:
        case: Its name.
        estimated: By the dry run.
        measured: Of the training, less the program.
        ratio: Of the two.
    """

    case: str
    estimated: int
    measured: int
    ratio: float

    @property
    def holds(self) -> bool:
        """Whether the estimate is within the limit."""
        return abs(self.ratio - 1) <= LIMIT


def cases(models: Sequence[str], batches: Sequence[int]) -> Iterator[Case]:
    """Both gradients at every batch size, and backpropagation with checkpointing too."""
    for model in models:
        for batch in batches:
            yield Case(model, batch, "backprop")
            yield Case(model, batch, "backprop", checkpointing=True)
            yield Case(model, batch, "zo")


def measure(case: Case, folder: Path, *, method: str, extra: Sequence[str]) -> Result:
    """Estimate and train a case.

    Args:
        case: The case.
        folder: With the rows; new files go there.
        method: Of the adapter.
        extra: Further overrides of the config.
    """
    asked = {"model": case.model, "method": method, "set": [*case.settings, *extra]}
    estimated = _in_a_process("estimated", folder, asked)
    taken = _in_a_process("trained", folder, {**asked, "tiny": str(_tiny(case.model, folder))})["taken"]
    return Result(case.name, estimated["total"], taken, estimated["total"] / taken)


def _in_a_process(what: str, folder: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    script = f"import sys\nfrom benchmarks.memory_estimate import *\n{what}(sys.argv[1], sys.argv[2])"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(folder), json.dumps(asked)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def _config(folder: str, asked: str) -> Any:
    from loretta_cli.config import load_config

    given = json.loads(asked)
    flags = {"model.name": given["model"], "adapter.method": given["method"]}
    flags |= {"task.name": "sst2", "data.source": f"{folder}/rows"}
    return load_config(None, flags, given["set"])


def estimated(folder: str, asked: str) -> None:
    """Print what the dry run says of a config."""
    from loretta_cli.planning.dry_run import dry_run

    memory = dry_run(_config(folder, asked)).memory
    if memory.chosen not in memory.estimates:
        raise SystemExit(memory.why_not)
    print(json.dumps({"total": memory.estimates[memory.chosen].total}))


def trained(folder: str, asked: str) -> None:
    """Train the tiny model and then the one asked for, and print what the second took."""
    import gc

    import psutil
    import torch

    from loretta_cli.report import SilentReporter
    from loretta_cli.training.run import train

    given = json.loads(asked)
    with tempfile.TemporaryDirectory() as place:
        tiny = _config(folder, json.dumps({**given, "model": given["tiny"]})).config
        train(tiny, Path(place) / "tiny", SilentReporter())
        gc.collect()
        program = psutil.Process().memory_info().rss
        if torch.cuda.is_available():
            program = 0
            torch.cuda.reset_peak_memory_stats()
        train(_config(folder, asked).config, Path(place) / "run", SilentReporter())
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else peak_bytes()
    print(json.dumps({"taken": peak - program}))


def _tiny(model: str, folder: Path) -> Path:
    """A folder with the architecture of a model, one narrow block of it, and its tokenizer."""
    from transformers import AutoModel, AutoModelForCausalLM

    from loretta_cli.models.loading import load_config, load_tokenizer
    from loretta_cli.models.source import find_model

    source = find_model(model)
    place = folder / f"tiny-{Path(model).name.replace(':', '-')}"
    if place.exists():
        return place
    config = load_config(source)
    for name, value in TINY.items():
        if hasattr(config, name):
            setattr(config, name, value)
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:1]
    is_language_model = "CausalLM" in "".join(config.architectures or ())
    maker = AutoModelForCausalLM if is_language_model else AutoModel
    maker.from_config(config).save_pretrained(place)
    load_tokenizer(source).save_pretrained(place)
    return place


def write_rows(model: str, folder: Path) -> None:
    """Write made-up reviews of 3 to ``WORDS`` words, drawn from all words that a model has a token for.

    A text of few words would leave most of the table of embeddings on the disk, from which it is mapped.
    """
    from loretta_cli.models.loading import load_tokenizer
    from loretta_cli.models.source import find_model

    generator = random.Random(0)
    words = sorted(word for word in load_tokenizer(find_model(model)).get_vocab() if word.isalpha())
    folder.mkdir(parents=True)
    for split, count in (("train", ROWS), ("validation", ROWS // 2)):
        lines = ["sentence,label"]
        for number in range(count):
            length = 3 + (WORDS - 3) * number // (count - 1)
            lines.append(" ".join(generator.choices(words, k=length)) + f",{number % 2}")
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Measure all cases, and print a line for each, or one JSON document."""
    args = parser().parse_args(arguments)
    results = []
    with tempfile.TemporaryDirectory() as place:
        for case in cases(args.models, args.batches):
            folder = Path(place) / case.model.replace(":", "-").replace("/", "-")
            if not folder.exists():
                write_rows(case.model, folder / "rows")
            found = measure(case, folder, method=args.method, extra=args.set)
            results.append(found)
            if not args.json:
                print(
                    f"{found.case:48}  estimated {found.estimated / 2**20:7,.0f} MiB  "
                    f"measured {found.measured / 2**20:7,.0f} MiB  ratio {found.ratio:.2f}",
                    flush=True,
                )
    if args.json:
        print(json.dumps([{**asdict(one), "holds": one.holds} for one in results], indent=2))
    if not all(one.holds for one in results):
        raise SystemExit(1)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--models", nargs="+", default=["bundled:minilm", "bundled:smollm2"])
    made.add_argument("--batches", nargs="+", type=int, default=[4, 16])
    made.add_argument("--method", default="rep")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    made.add_argument("--json", action="store_true")
    return made


if __name__ == "__main__":
    main()
