"""Architecture facts of well-known models: every spelling, and the sizes that are published."""

from __future__ import annotations

import pytest

from loretta_cli.models.bundled import ARCHITECTURES, find_architecture, nearest_architectures
from loretta_cli.models.families import family_of
from loretta_cli.models.forms import default_form
from loretta_cli.models.loading import architecture_config
from loretta_cli.models.source import find_model

# Numbers of the bare model, from the checkpoints on the hub: with pooler for BERT and RoBERTa, with the
# language-model head for LLaMA.
PUBLISHED = {
    "google-bert/bert-base-uncased": 109_482_240,
    "microsoft/deberta-base": 138_601_728,
    "FacebookAI/roberta-base": 124_645_632,
    "FacebookAI/roberta-large": 355_359_744,
    "meta-llama/Llama-2-7b-hf": 6_738_415_616,
    "meta-llama/Llama-2-13b-hf": 13_015_864_320,
    "meta-llama/Llama-2-70b-hf": 68_976_648_192,
    "meta-llama/Llama-3.1-8B": 8_030_261_248,
    "meta-llama/Llama-3.2-1B": 1_235_814_400,
    "meta-llama/Llama-3.2-3B": 3_212_749_824,
    "meta-llama/Llama-3.1-70B": 70_553_706_496,
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    "mistralai/Mistral-7B-v0.3": 7_248_023_552,
    "mistralai/Mistral-Nemo-Base-2407": 12_247_782_400,
    "mistralai/Mistral-Small-24B-Base-2501": 23_572_403_200,
    "Qwen/Qwen2.5-0.5B": 494_032_768,
    "Qwen/Qwen2.5-1.5B": 1_543_714_304,
    "Qwen/Qwen2.5-3B": 3_085_938_688,
    "Qwen/Qwen2.5-7B": 7_615_616_512,
    "Qwen/Qwen2.5-14B": 14_770_033_664,
    "Qwen/Qwen2.5-32B": 32_763_876_352,
    "Qwen/Qwen2.5-72B": 72_706_203_648,
    "Qwen/Qwen3-0.6B": 596_049_920,
    "Qwen/Qwen3-1.7B": 1_720_574_976,
    "Qwen/Qwen3-4B": 4_022_468_096,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "Qwen/Qwen3-14B": 14_768_307_200,
    "Qwen/Qwen3-32B": 32_762_123_264,
    "google/gemma-2-2b": 2_614_341_888,
    "google/gemma-2-9b": 9_241_705_984,
    "google/gemma-2-27b": 27_227_128_320,
    "google/gemma-3-1b-pt": 999_885_952,
    "google/gemma-3-270m": 268_098_176,
    "microsoft/Phi-3-mini-4k-instruct": 3_821_079_552,
    "microsoft/Phi-3-medium-4k-instruct": 13_960_238_080,
    "EleutherAI/pythia-70m": 70_426_624,
    "EleutherAI/pythia-160m": 162_322_944,
    "EleutherAI/pythia-410m": 405_334_016,
    "EleutherAI/pythia-1b": 1_011_781_632,
    "EleutherAI/pythia-1.4b": 1_414_647_808,
    "EleutherAI/pythia-2.8b": 2_775_208_960,
    "EleutherAI/pythia-6.9b": 6_857_302_016,
    "EleutherAI/pythia-12b": 11_846_072_320,
    "openai-community/gpt2": 124_439_808,
    "openai-community/gpt2-medium": 354_823_168,
    "openai-community/gpt2-large": 774_030_080,
    "openai-community/gpt2-xl": 1_557_611_200,
    "HuggingFaceTB/SmolLM2-135M": 134_515_008,
    "HuggingFaceTB/SmolLM2-360M": 361_821_120,
    "HuggingFaceTB/SmolLM2-1.7B": 1_711_376_384,
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": 1_100_048_384,
    "facebook/opt-125m": 125_239_296,
    "facebook/opt-350m": 331_196_416,
    "facebook/opt-1.3b": 1_315_758_080,
    "facebook/opt-2.7b": 2_651_596_800,
    "facebook/opt-6.7b": 6_658_473_984,
    "facebook/opt-13b": 12_853_473_280,
    "facebook/opt-30b": 29_974_540_288,
    "EleutherAI/gpt-j-6b": 6_050_882_784,
    "EleutherAI/gpt-neox-20b": 20_554_567_680,
    "bigscience/bloom-560m": 559_214_592,
    "bigscience/bloom-1b1": 1_065_314_304,
    "bigscience/bloom-1b7": 1_722_408_960,
    "bigscience/bloom-3b": 3_002_557_440,
    "bigscience/bloom-7b1": 7_069_016_064,
    "bigscience/bloom": 176_247_271_424,
    "tiiuae/falcon-7b": 6_921_720_704,
    "tiiuae/falcon-40b": 41_303_293_952,
    "google-t5/t5-small": 60_506_624,
    "google-t5/t5-base": 222_903_552,
    "google-t5/t5-large": 737_668_096,
    "google/flan-t5-small": 76_961_152,
    "google/flan-t5-base": 247_577_856,
    "google/flan-t5-large": 783_150_080,
    "google/flan-t5-xl": 2_849_757_184,
    "google/flan-t5-xxl": 11_135_332_352,
    "google-t5/t5-3b": 2_851_598_336,
    "google-t5/t5-11b": 11_307_321_344,
    "google-bert/bert-large-uncased": 335_141_888,
    "distilbert/distilbert-base-uncased": 66_362_880,
    "microsoft/mpnet-base": 109_486_464,
    "albert/albert-base-v2": 11_683_584,
    "microsoft/deberta-v3-base": 183_831_552,
    "microsoft/deberta-v3-small": 141_304_320,
    "microsoft/deberta-v3-large": 434_012_160,
    "microsoft/deberta-v3-xsmall": 70_682_112,
    "google/electra-base-discriminator": 108_891_648,
    "google/electra-large-discriminator": 334_092_288,
    "answerdotai/ModernBERT-base": 149_014_272,
    "sentence-transformers/all-MiniLM-L6-v2": 22_713_216,
    "distilbert/distilroberta-base": 82_118_400,
}
POOLER = 768 * 768 + 768


def spellings(full: str) -> set[str]:
    short = full.rpartition("/")[2]
    plain = {full, short, short.removesuffix("-hf")}
    return plain | {name.lower() for name in plain} | {name.upper() for name in plain}


@pytest.mark.parametrize(
    ("full", "name"), [(full, name) for full in ARCHITECTURES for name in sorted(spellings(full))]
)
def test_a_model_is_found_in_every_spelling(full: str, name: str) -> None:
    found = find_architecture(name)
    assert found is not None
    assert found == (full, ARCHITECTURES[full])


@pytest.mark.parametrize(
    "name", ["llama-2", "bert", "", "llama", "other/Llama-2-7b-hf", "Llama-2-7b-chat-hf", "-hf"]
)
def test_other_names_are_not_found(name: str) -> None:
    assert find_architecture(name) is None


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_model_has_the_published_size(name: str) -> None:
    known = ARCHITECTURES[name]
    facts, family = {"model_type": known.model_type, **known.settings}, family_of(known.model_type)
    assert family is not None
    head = family.head.modules if family.form == "classification" else ()
    body = sum(
        entry.parameters
        for entry in family.outline(facts, family.form, 2)
        if not any(entry.name == module or entry.name.startswith(f"{module}.") for module in head)
    )
    # transformers' classifiers drop the pooler of these, and take over the prediction head of ModernBERT.
    dropped = {"roberta": POOLER, "mpnet": POOLER, "modernbert": -POOLER}.get(known.model_type, 0)
    if name == "FacebookAI/roberta-large":
        dropped = 1024 * 1024 + 1024

    assert body + dropped == PUBLISHED[name]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_model_has_a_family_and_a_config_of_transformers(name: str) -> None:
    config = architecture_config(find_model(name))
    family = family_of(config.model_type)

    assert family is not None
    assert default_form(config) == family.form
    shown = config.to_dict()
    given = {key: value for key, value in ARCHITECTURES[name].settings.items() if value is not None}
    if config.model_type == "t5":
        given.pop("tie_word_embeddings")  # transformers reads it, and says true from then on
    assert {key: shown.get(key, value) for key, value in given.items()} == given


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("llama2-7b", "meta-llama/Llama-2-7b-hf"),
        ("debertabase", "microsoft/deberta-base"),
        ("qwen2.5-7", "Qwen/Qwen2.5-7B"),
    ],
)
def test_a_misspelt_name_finds_the_nearest_full_ones(name: str, nearest: str) -> None:
    found = nearest_architectures(name)

    assert found[0] == nearest
    assert len(found) <= 3


def test_a_name_that_is_near_to_nothing_finds_nothing() -> None:
    assert nearest_architectures("something-else-altogether") == []
