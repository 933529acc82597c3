"""The model card of a merged model."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import yaml

from loretta_cli.artifacts.card_facts import public_name
from loretta_cli.artifacts.files import write_text
from loretta_cli.artifacts.merging.companions import BASE_CARD
from loretta_cli.artifacts.merging.report import MergeReport
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.artifacts.sizes import size_section
from loretta_cli.numerals import counted


def write_merge_card(
    folder: Path, run: RunFolder, base: str, licence: dict[str, str], report: MergeReport
) -> None:
    """Write ``README.md`` of a merged model.

    Args:
        folder: Of the model.
        run: Where it comes from.
        base: Name of the base model.
        licence: What the base's card says of its licence.
        report: What the merge has to say.
    """
    name = public_name(base)
    head = {"base_model": name, "library_name": "transformers", **licence}
    paragraphs = [
        f"Made by `loretta merge` from the run `{run.path.name}`. A plain transformers "
        "model that\nneeds no adapter library.",
        _origin(report.dequantized),
        f"The weights are {report.dtype}. {_check(report)}",
        _loss(report),
        f"The card of the base model is in `{BASE_CARD}`." if (folder / BASE_CARD).is_file() else "",
    ]
    text = "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
    write_text(
        folder / "README.md",
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n"
        f"# {name} with a merged LoRETTA adapter\n\n{text}\n\n"
        f"{_loading(folder)}{_serving(folder, Path(report.output).name)}"
        f"{size_section(run, folder=folder, merged=True)}",
    )


_CAUSAL = ("ForCausalLM", "LMHeadModel")


def _architecture(folder: Path) -> tuple[str, dict[str, Any]]:
    """The name of the model's class, and its config."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return (config.get("architectures") or [""])[0], config


def _loading(folder: Path) -> str:
    """Python that asks the model with transformers alone, of classifiers and causal language models."""
    name, config = _architecture(folder)
    if name.endswith(_CAUSAL):
        kind, asked, options = "text-generation", '"A text to go on with", max_new_tokens=20', ""
    elif name.endswith("ForSequenceClassification"):
        kind, asked = "text-classification", '["a text", "another one"]'
        # Of one output, a score, transformers would take the sigmoid.
        options = ', function_to_apply="none"' if len(config.get("id2label") or "two") == 1 else ""
    else:
        return ""
    options += ", trust_remote_code=True" if "auto_map" in config else ""
    return f"""\
## Load it

In Python, in this folder:

```python
from transformers import pipeline

ask = pipeline("{kind}", model="."{options})
print(ask({asked}))
```

"""


def _serving(folder: Path, name: str) -> str:
    """The command of vLLM, which loads any causal language model in a folder, and the way to llama.cpp."""
    if not _architecture(folder)[0].endswith(_CAUSAL):
        return ""
    command = f"vllm serve {shlex.quote(f'./{name}')}"
    return (
        f"## Serve it\n\nvLLM (not run here), in the folder above this one:\n\n```sh\n{command}\n```\n\n"
        "llama.cpp: `loretta export --format gguf` of the run writes what it loads.\n\n"
    )


def _origin(kind: str | None) -> str:
    if kind is None:
        return ""
    return f"""\
The adapter was trained on the base model quantised to {kind}. The weights here are the numbers that the
quantised ones stand for, with the update; they are not those of the original base model, and the difference
below is to this dequantised base with the adapter."""


def _check(report: MergeReport) -> str:
    found = report.verification.comparison
    numbers = f"{found.max_abs_difference:.3g}\n(accepted: {found.tolerance:.3g})."
    if report.verification.kind == "logits":
        rows = counted(found.rows, "validation row")
        return f"On {rows} the largest\ndifference of a logit to base and adapter is {numbers}"
    layers = counted(report.verification.layers or 0, "merged layer")
    return (
        f"Of {layers}, read again and compared\nwith base and adapter on random inputs, the one nearest to "
        f"what is accepted of it differs by {numbers}"
    )


def _loss(report: MergeReport) -> str:
    words = report.lost.in_words()
    return f"The cast to {report.dtype} loses a share of the updates' norms: {words}." if words else ""
