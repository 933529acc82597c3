"""An adapter is loaded by plain PEFT in a process that has seen nothing of its making."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.tiny_models import tiny_model, token_batch
from tests.tuners.adapters import adapted, logits, train

CASES: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("roberta", "adp", "paper", {}),
    ("deberta", "rep", "paper", {}),
    ("llama-classifier", "adp", "standard", {}),
    ("bert", "rep", "standard", {"init_weights": "noise-reduction"}),
)

PROGRAM = """
import json, sys
from pathlib import Path
import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification
import loretta_cli.tuners

folder = Path(sys.argv[1])
torch.manual_seed(99)
ids = torch.tensor(json.loads((folder / "ids.json").read_text()))
found = {}
for case in sorted(path for path in folder.iterdir() if path.is_dir()):
    base = AutoModelForSequenceClassification.from_pretrained(case / "base", num_labels=3)
    model = PeftModel.from_pretrained(base, case / "adapter", adapter_name="other").eval()
    with torch.no_grad():
        found[case.name] = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
save_file(found, folder / "found.safetensors")
"""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Logits here and in the fresh process, by case; the base is saved without its head."""
    folder = tmp_path_factory.mktemp("fresh")
    (folder / "ids.json").write_text(json.dumps(token_batch()["input_ids"].tolist()))
    expected = {}
    for family, method, preset, settings in CASES:
        model = adapted(family, method, preset, **settings)
        case = folder / f"{family}-{method}"
        tiny_model(family).base_model.save_pretrained(case / "base")
        train(model, family)
        model.save_pretrained(case / "adapter")
        expected[case.name] = logits(model)
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    subprocess.run([sys.executable, "-c", PROGRAM, str(folder)], check=True, env=environment)
    found = load_file(folder / "found.safetensors")
    return {name: (found[name], expected[name]) for name in expected}


@pytest.mark.parametrize("case", [f"{family}-{method}" for family, method, _, _ in CASES])
def test_the_logits_are_the_same_in_a_fresh_process(
    case: str, pairs: dict[str, tuple[torch.Tensor, torch.Tensor]]
) -> None:
    found, expected = pairs[case]
    assert torch.equal(found, expected)
