"""The decoder families: what is adapted in each, options of configs, generation, base checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Gemma3Config, Gemma3ForCausalLM, Gemma3ForConditionalGeneration

from loretta_cli.errors import ModelError
from loretta_cli.measure.parameters import count_base
from loretta_cli.models.families import Family, Placement, family_of
from loretta_cli.models.forms import choose_form
from loretta_cli.models.loading import load_model
from loretta_cli.models.source import find_model
from tests.models.families.test_outlines import linear_layers, modules_with_parameters, outline_of
from tests.tiny_decoders import DECODERS, GEMMA2
from tests.tiny_models import LAYERS, TASK_TYPES, UNKNOWN, model_class, tiny_config, tiny_model, token_batch
from tests.tuners.adapters import CONFIGS, adapted, logits, train
from tests.tuners.expected import sizes_of

NAMES = sorted(set(DECODERS) - {UNKNOWN})
LANGUAGE_MODELS = [name for name in NAMES if TASK_TYPES[name] == "CAUSAL_LM"]

GATED = [(48, 96), (48, 96), (96, 48)]
TWO_LAYERS = [(48, 96), (96, 48)]
FOUR_TIMES = [(48, 192), (192, 48)]
GROUPED = [(48, 48), (48, 24)]
WIDE_HEADS = [(48, 64), (48, 32)]
ADAPTED = {
    "bloom": ([(48, 3 * 48)], FOUR_TIMES, [(48, 48), (192, 48)]),
    "falcon": ([(48, 48 + 2 * 12)], TWO_LAYERS, [(48, 48), (96, 48)]),
    "falcon-grouped": ([(48, (4 + 2 * 2) * 12)], TWO_LAYERS, [(48, 48), (96, 48)]),
    "gemma": (WIDE_HEADS, GATED, [(64, 48), (96, 48)]),
    "gemma2": (WIDE_HEADS, GATED, [(64, 48), (96, 48)]),
    "gemma3": (WIDE_HEADS, GATED, [(64, 48), (96, 48)]),
    "gpt2": ([(48, 3 * 48)], FOUR_TIMES, [(48, 48), (192, 48)]),
    "gpt2-classifier": ([(48, 3 * 48)], FOUR_TIMES, [(48, 48), (192, 48)]),
    "gpt_neox": ([(48, 3 * 48)], TWO_LAYERS, [(48, 48), (96, 48)]),
    "gptj": ([(48, 48), (48, 48)], FOUR_TIMES, [(48, 48), (192, 48)]),
    "llama": (GROUPED, GATED, [(48, 48), (96, 48)]),
    "llama-classifier": (GROUPED, GATED, [(48, 48), (96, 48)]),
    "mistral": (WIDE_HEADS, GATED, [(64, 48), (96, 48)]),
    "opt": ([(48, 48), (48, 48)], TWO_LAYERS, [(48, 48), (96, 48)]),
    "opt-classifier": ([(48, 48), (48, 48)], TWO_LAYERS, [(48, 48), (96, 48)]),
    "phi3": ([(48, (4 + 2 * 2) * 12)], [(48, 2 * 96), (96, 48)], [(48, 48), (96, 48)]),
    "qwen2": (GROUPED, GATED, [(48, 48), (96, 48)]),
    "qwen3": (WIDE_HEADS, GATED, [(64, 48), (96, 48)]),
    "qwen3-classifier": (WIDE_HEADS, GATED, [(64, 48), (96, 48)]),
}
"""By hand, a block: the layers (in, out) of rep, of adp's placement ``mlp`` and of its ``sublayer``."""


def known_family(name: str) -> Family:
    """The family of a tiny model."""
    family = family_of(tiny_config(name).model_type)
    assert family is not None
    return family


@pytest.mark.parametrize("name", NAMES)
def test_each_method_adapts_these_layers_of_a_block_and_no_others(name: str) -> None:
    family, model = known_family(name), tiny_model(name)
    rep, mlp, sublayer = ADAPTED[name]
    assert sorted(sizes_of(model, family.rep_targets)) == sorted(LAYERS * rep)
    placements: dict[Placement, list[tuple[int, int]]] = {"mlp": mlp, "sublayer": sublayer}
    for placement, expected in placements.items():
        sites = family.sites[placement]
        found = sizes_of(model, (*sites.input, *sites.output), sites.exclude)
        assert sorted(found) == sorted(LAYERS * expected), placement


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("falcon", {"alibi": True, "bias": True, "multi_query": False, "parallel_attn": False}),
        ("falcon-grouped", {"num_ln_in_parallel_attn": 1}),
        ("falcon-grouped", {"num_kv_heads": None}),
        ("gemma3", {"attention_bias": True}),
        ("gpt2", {"n_inner": 100, "tie_word_embeddings": False}),
        ("gpt2", {"add_cross_attention": True}),
        ("gpt_neox", {"attention_bias": False, "tie_word_embeddings": True}),
        ("gptj", {"n_inner": 100}),
        ("gptj", {"tie_word_embeddings": True}),
        ("llama", {"attention_bias": True}),
        ("llama", {"mlp_bias": True, "head_dim": 8, "num_key_value_heads": None}),
        ("mistral", {"head_dim": None}),
        ("opt", {"word_embed_proj_dim": 32, "do_layer_norm_before": False}),
        ("opt", {"enable_bias": False, "layer_norm_elementwise_affine": False}),
        ("opt", {"_remove_final_layer_norm": True}),
        ("phi3", {"num_key_value_heads": None, "tie_word_embeddings": True}),
        ("qwen2", {"tie_word_embeddings": True}),
        ("qwen3", {"attention_bias": True, "tie_word_embeddings": False}),
    ],
)
def test_options_of_a_config_are_in_the_outline(name: str, changes: dict[str, Any]) -> None:
    with torch.device("meta"):
        model = model_class(name)(tiny_config(name, **changes))
    outline = outline_of(name, model)
    assert {entry.name: entry.parameters for entry in outline if entry.parameters} == modules_with_parameters(
        model
    )
    assert [
        (entry.name, entry.in_features, entry.out_features, entry.biases)
        for entry in outline
        if entry.kind == "linear"
    ] == [(full, *sizes) for full, sizes in linear_layers(model).items()]


def test_tied_embeddings_count_once() -> None:
    tied, untied = tiny_model("qwen3"), tiny_model("qwen3", tie_word_embeddings=False)
    assert count_base(untied) - count_base(tied) == 99 * 48
    for model in (tied, untied):
        assert sum(entry.parameters for entry in outline_of("qwen3", model)) == count_base(model)


@pytest.mark.parametrize("method", CONFIGS)
@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_an_adapted_model_generates_what_its_logits_say(name: str, method: str) -> None:
    model = adapted(name, method)
    train(model, name)
    batch = token_batch()
    expected = batch["input_ids"]
    with torch.no_grad():
        found = model.generate(**batch, max_new_tokens=3, do_sample=False, eos_token_id=None)
        for _ in range(3):
            last = model(input_ids=expected, attention_mask=torch.ones_like(expected)).logits[:, -1]
            expected = torch.cat([expected, last.argmax(-1, keepdim=True)], dim=1)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_a_base_checkpoint_lacks_only_the_score_head_of_a_classifier(name: str, tmp_path: Path) -> None:
    base = tiny_model(name)
    base.save_pretrained(tmp_path)
    loaded = load_model(
        find_model(str(tmp_path)), "classification", labels=("cold", "mild", "warm"), pad_token_id=0
    )
    assert loaded.new_modules == known_family(name).head.modules == ("score",)
    state = base.base_model.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in loaded.model.base_model.state_dict().items())


def test_a_model_with_a_vision_tower_is_refused_and_its_text_part_is_not(tmp_path: Path) -> None:
    config = Gemma3Config(
        text_config=GEMMA2,
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
        },
        mm_tokens_per_image=4,
        image_token_index=98,
    )
    with pytest.raises(ModelError, match="type gemma3 reads images") as caught:
        choose_form("auto", config)
    assert "model.language_model" in caught.value.hint

    whole = Gemma3ForConditionalGeneration(config).eval()
    text = Gemma3ForCausalLM(config.text_config)
    text.model.load_state_dict(whole.model.language_model.state_dict())
    text.save_pretrained(tmp_path)
    loaded = load_model(find_model(str(tmp_path)), "prompt")
    assert loaded.new_modules == ()
    assert choose_form("auto", loaded.model.config) == "prompt"
    assert torch.equal(logits(loaded.model), logits(whole))
