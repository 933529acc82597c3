"""The preset table."""

from __future__ import annotations

import pytest

from loretta_cli.errors import ConfigError
from loretta_cli.models.families import FAMILIES, Family
from loretta_cli.presets import PAPER_MODELS, Method, Preset, choose_preset


def preset(
    method: Method, asked: str, family: str | None, hidden_size: int | None = 48, num_layers: int = 2
) -> Preset:
    known: Family | None = None if family is None else FAMILIES.get(family)
    return choose_preset(method, asked, family=known, hidden_size=hidden_size, num_layers=num_layers)


@pytest.mark.parametrize(("family", "hidden_size", "num_layers"), sorted(PAPER_MODELS))
def test_auto_is_paper_where_the_paper_has_the_model(family: str, hidden_size: int, num_layers: int) -> None:
    chosen = preset("adp", "auto", family, hidden_size, num_layers)
    assert (chosen.name, chosen.reason) == ("paper", "the paper has this model")
    assert chosen.train_norms


@pytest.mark.parametrize(
    ("family", "hidden_size", "num_layers"),
    [
        ("bert", 384, 6),
        ("roberta", 1024, 24),
        ("llama", 4096, 40),
        ("llama", 768, 12),
        (None, 768, 12),
        ("bert", None, 12),
    ],
)
def test_auto_is_standard_for_every_other_model(
    family: str | None, hidden_size: int | None, num_layers: int
) -> None:
    chosen = preset("rep", "auto", family, hidden_size, num_layers)
    assert (chosen.name, chosen.train_norms, chosen.head) == ("standard", False, "dense")


@pytest.mark.parametrize(
    ("method", "hidden_size", "bottleneck", "rank"),
    [
        ("adp", 4096, 64, 5),
        ("adp", 5120, 64, 8),
        ("adp", 8192, 64, 8),
        ("rep", 4096, 16, 8),
        ("rep", 5120, 16, 8),
        ("rep", 8192, 16, 8),
    ],
)
def test_llama_has_the_ranks_that_the_printed_counts_prove(
    method: Method, hidden_size: int, bottleneck: int, rank: int
) -> None:
    chosen = preset(method, "paper", "llama", hidden_size)
    assert (chosen.bottleneck, chosen.tt_rank) == (bottleneck, rank)


@pytest.mark.parametrize("asked", ["paper", "standard", "lean"])
@pytest.mark.parametrize("family", FAMILIES.names())
def test_the_scale_is_one_for_adp_and_two_for_rep(asked: str, family: str) -> None:
    for method, scale in (("adp", 1.0), ("rep", 2.0)):
        chosen = preset(method, asked, family)  # type: ignore[arg-type]
        assert chosen.alpha / chosen.bottleneck == scale


def test_only_lean_has_no_adapter_biases() -> None:
    assert [preset("adp", asked, "bert").adapter_bias for asked in ("paper", "standard", "lean")] == [
        True,
        True,
        False,
    ]


def test_the_paper_head_is_a_tensor_train_where_there_is_a_dense_layer() -> None:
    heads = {family: preset("adp", "paper", family).head for family in FAMILIES}
    with_a_train = ["deberta", "deberta-v2", "distilbert", "electra", "mpnet", "roberta", "t5"]
    assert sorted(family for family, head in heads.items() if head == "tt") == with_a_train
    assert {head for family, head in heads.items() if family not in with_a_train} == {"dense"}


def test_the_output_layer_is_frozen_for_deberta_rep_of_the_paper_only() -> None:
    frozen = [
        (method, family)
        for method in ("adp", "rep")
        for family in FAMILIES
        if not preset(method, "paper", family).train_output
    ]
    assert frozen == [("rep", "deberta")]


def test_paper_is_refused_for_a_family_that_is_not_in_the_paper() -> None:
    with pytest.raises(ConfigError, match="model families of the paper only") as caught:
        preset("adp", "paper", None)
    assert "standard" in caught.value.hint


def test_an_unknown_preset_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="Unknown preset 'standart'") as caught:
        preset("adp", "standart", "bert")
    assert "'standard'" in caught.value.hint
