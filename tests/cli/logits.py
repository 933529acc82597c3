"""Logits of one row of tokens, here and in a fresh process, for holding models against each other."""

from __future__ import annotations

from pathlib import Path

IDS = [5, 60, 61, 70, 90, 100]
"""Tokens that every tiny model knows."""

_SHOW = f"""
model.eval()
ids = torch.tensor([{IDS}])
with torch.no_grad():
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
print(json.dumps(logits.flatten().tolist()))
"""

PLAIN_TRANSFORMERS = f"""
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
auto = AutoModelForCausalLM if sys.argv[2] == "causal" else AutoModelForSequenceClassification
model, info = auto.from_pretrained(sys.argv[1], output_loading_info=True)
assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
{_SHOW}
"""
"""Arguments: a model folder; ``causal`` or ``classifier``."""

PLAIN_PEFT = f"""
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
causal = sys.argv[3] == "causal"
auto = AutoModelForCausalLM if causal else AutoModelForSequenceClassification
base = auto.from_pretrained(sys.argv[1], **({{}} if causal else {{"num_labels": int(sys.argv[4])}}))
model = PeftModel.from_pretrained(base, sys.argv[2], adapter_name="another")
{_SHOW}
"""
"""Arguments: base folder; adapter folder; ``causal`` or ``classifier``; number of labels."""


CARD_SNIPPET = f"""
import json, pathlib, torch
torch.set_num_threads(1)
snippet = pathlib.Path("snippet.py").read_text().rstrip()
assert snippet.endswith('"adapter")')
exec(snippet[:-1] + ', adapter_name="another")')
{_SHOW}
"""
"""Runs ``snippet.py``, which loads ``adapter``, under another adapter name."""


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
