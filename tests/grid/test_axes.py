"""What a grid varies, from flags and from a grid file."""

from __future__ import annotations

from pathlib import Path

import pytest

from loretta_cli.config import load_config
from loretta_cli.errors import ConfigError
from loretta_cli.grid.axes import Axes, Faults, find_axes


def written(folder: Path, text: str) -> str:
    """A grid file."""
    path = folder / "grid.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def found(recipes: list[str], given: Axes | None = None) -> Axes:
    """The axes, where nothing is wrong with them."""
    faults = Faults()
    axes = find_axes(recipes, given or Axes(), faults)
    faults.raise_if_any()
    return axes


def test_a_grid_file_says_everything_and_a_flag_wins_over_it(tmp_path: Path) -> None:
    grid = written(
        tmp_path,
        "grid:\n  recipes: [quickstart]\n  models: bundled:minilm\n  methods: [adp, rep, adp]\n"
        "  tasks: [sst2, trec]\n  seeds: [0, 1]\n"
        "  settings:\n    adapter.tt_rank: [2, 5]\n    training.epochs: 3\n",
    )

    axes = found([grid], Axes(tasks=("boolq",)))

    assert axes == Axes(
        recipes=("quickstart",),
        models=("bundled:minilm",),
        methods=("adp", "rep"),
        tasks=("boolq",),
        seeds=(0, 1),
        settings={"adapter.tt_rank": (2, 5), "training.epochs": (3,)},
    )


def test_a_glob_finds_shipped_recipes_and_none_counts_twice() -> None:
    axes = found(["paper/table6-sst2-*", "paper/table6-sst2-adp-rank2", "quickstart"])

    assert axes.recipes[-1] == "quickstart"
    assert len(axes.recipes) == 9
    assert all(name.startswith("paper/table6-sst2-") for name in axes.recipes[:-1])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("grid: {methds: [adp]}", "Did you mean 'methods'?"),
        ("grid: {methods: [1]}", "grid.methods: found [1]"),
        ("grid: {methods: []}", "grid.methods: found []"),
        ("grid: {seeds: [one]}", "expected a list of whole numbers"),
        ("grid: {seeds: [true]}", "expected a list of whole numbers"),
        ("grid: [adp]", "expected keys such as methods"),
        ("grid: {settings: [adapter.tt_rank]}", "expected dotted keys with lists"),
        ("grid: {settings: {adapter.tt_rnk: [2]}}", "Did you mean 'adapter.tt_rank'?"),
        ("grid: {settings: {training.seed: [2]}}", "Use grid.seeds."),
        ("grid: {methods: [adp]}\ntraining: {epochs: 3}", "training: unknown key"),
    ],
)
def test_a_wrong_grid_file_is_named_with_what_was_expected(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        found([written(tmp_path, text)])

    assert told in f"{caught.value.message} {caught.value.hint}"


def test_a_grid_file_stands_alone(tmp_path: Path) -> None:
    grid = written(tmp_path, "grid: {methods: [adp]}")
    with pytest.raises(ConfigError) as caught:
        found([grid, "quickstart"])
    assert caught.value.message == (
        f"{grid} is a grid file, which stands alone, and quickstart is given beside it."
    )


def test_all_faults_are_told_together_and_each_once(tmp_path: Path) -> None:
    faults = Faults()
    find_axes(["quikstart", "quikstart", "paper/tabel*"], Axes(), faults)

    with pytest.raises(ConfigError) as caught:
        faults.raise_if_any()
    assert caught.value.message.startswith("2 settings are wrong")
    assert caught.value.message.count("quikstart") == 1


def test_each_part_of_an_error_of_several_is_a_fault_of_its_own_with_its_advice() -> None:
    faults = Faults()
    with faults.noted():
        load_config(None, {}, ["training.sed=1", "training.epochs=many\n  - a line of the value"])

    with pytest.raises(ConfigError) as caught:
        faults.raise_if_any()

    assert caught.value.message.startswith("2 settings are wrong:")
    assert [advice for _, advice in caught.value.parts] == ["Did you mean 'training.seed'?", ""]
    assert "a line of the value" in caught.value.parts[1][0]
