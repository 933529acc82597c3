"""Architecture facts of well-known models: every spelling, and the sizes that are published."""

from __future__ import annotations

import pytest

from loretta_cli.measure.parameters import count_base
from loretta_cli.models.bundled import ARCHITECTURES, find_architecture, nearest_architecture
from loretta_cli.models.families import family_of
from loretta_cli.models.loading import architecture_config, default_form, empty_model
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
}


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


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_model_has_the_published_size_and_a_family(name: str) -> None:
    config = architecture_config(find_model(name))
    assert family_of(config.model_type) is not None
    form = default_form(config)
    model = empty_model(config, form)
    body = model if form == "prompt" else model.base_model
    expected = PUBLISHED[name]
    if config.model_type == "roberta":
        # The classifier of transformers has no pooler in its body.
        expected -= config.hidden_size * config.hidden_size + config.hidden_size
    assert count_base(body) == expected


def test_a_misspelt_name_finds_the_nearest_full_one() -> None:
    assert nearest_architecture("llama2-7b") == "meta-llama/Llama-2-7b-hf"
    assert nearest_architecture("debertabase") == "microsoft/deberta-base"
    assert nearest_architecture("something-else-altogether") is None
