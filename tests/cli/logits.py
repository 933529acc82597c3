"""Logits of one row of tokens, here and in a fresh process, for holding models against each other.

A fresh process takes seconds to import what it needs, so each loads several models, one after another.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tests.command_line import python

IDS = [5, 60, 61, 70, 90, 100]
"""Tokens that every tiny model knows."""

_LOGITS = f"""
def logits_of(model):
    ids = torch.tensor([{IDS}])
    with torch.no_grad():
        return model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.flatten().tolist()
"""

_PLAIN_TRANSFORMERS = f"""
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
{_LOGITS}
found = []
for folder, kind in json.loads(sys.argv[1]):
    auto = AutoModelForCausalLM if kind == "causal" else AutoModelForSequenceClassification
    model, info = auto.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    found.append(logits_of(model))
print(json.dumps(found))
"""

_PLAIN_PEFT = f"""
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
{_LOGITS}
found = []
for base, adapter, kind in json.loads(sys.argv[1]):
    is_causal = kind == "causal"
    auto = AutoModelForCausalLM if is_causal else AutoModelForSequenceClassification
    model = auto.from_pretrained(base, **({{}} if is_causal else {{"num_labels": 2}}))
    found.append(logits_of(PeftModel.from_pretrained(model, adapter, adapter_name="another")))
print(json.dumps(found))
"""

_CARDS = f"""
import json, os, pathlib, sys, torch
torch.set_num_threads(1)
{_LOGITS}
found = []
for [folder] in json.loads(sys.argv[1]):
    os.chdir(folder)
    snippet = pathlib.Path("snippet.py").read_text().rstrip()
    assert snippet.endswith('"adapter")')
    names = {{}}
    exec(snippet[:-1] + ', adapter_name="another")', names)
    found.append(logits_of(names["model"]))
print(json.dumps(found))
"""

Models = Sequence[tuple[object, ...]]


def plain_transformers(models: Models, *, blocked: Sequence[str] = ()) -> list[list[float]]:
    """Logits of models in one fresh process that has transformers only; starting one takes seconds.

    Args:
        models: Folder and ``causal`` or ``classifier`` of each.
        blocked: Further packages that the process lacks.
    """
    return _in_a_fresh_process(_PLAIN_TRANSFORMERS, models, blocked=("loretta_cli", "peft", *blocked))


def plain_peft(models: Models) -> list[list[float]]:
    """Logits of bases with an adapter in one fresh process that has PEFT, and not this project.

    Args:
        models: Base folder, adapter folder and ``causal`` or ``classifier`` (of two labels) of each.
    """
    return _in_a_fresh_process(_PLAIN_PEFT, models, blocked=("loretta_cli",))


def card_snippet(run: Path) -> str:
    """The loader that a run's card shows."""
    return (run / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]


def card_logits(runs: Sequence[tuple[Path, Path]], folder: Path) -> list[list[float]]:
    """Logits of what the cards of runs load, under another adapter name, in one fresh process.

    Args:
        runs: Run folder and the folder of its base.
        folder: An empty one, to work in.
    """
    places = [folder / str(number) for number in range(len(runs))]
    for place, (run, base) in zip(places, runs, strict=True):
        place.mkdir()
        (place / base.name).symlink_to(base)
        (place / "adapter").symlink_to(run / "adapter")
        (place / "snippet.py").write_text(card_snippet(run), encoding="utf-8")
    return _in_a_fresh_process(_CARDS, [(place,) for place in places])


def _in_a_fresh_process(script: str, models: Models, blocked: Sequence[str] = ()) -> list[list[float]]:
    found: list[list[float]] = json.loads(python(script, json.dumps(models, default=str), blocked=blocked))
    return found


def run_logits(run: Path) -> list[float]:
    """Logits of a run's base and adapter, in this process."""
    import torch

    from loretta_cli.artifacts.restore import load_adapter
    from loretta_cli.artifacts.run_folder import RunFolder
    from loretta_cli.planning.plan import make_plan

    folder = RunFolder(run)
    model = load_adapter(make_plan(folder.read_config()), folder)
    ids = torch.tensor([IDS])
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    values: list[float] = logits.flatten().tolist()
    return values


def assert_close(one: list[float], other: list[float]) -> None:
    """No logit differs by more than 1e-4, and the rows are long enough to mean something."""
    assert len(one) == len(other) >= 2
    assert max(abs(first - second) for first, second in zip(one, other, strict=True)) <= 1e-4
