"""Which rows train, choose and are reported under each protocol; what never overlaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from loretta_cli.config import DataSettings
from loretta_cli.errors import ConfigError, DataError
from loretta_cli.tasks import TASKS
from loretta_cli.tasks.base import Example
from loretta_cli.tasks.protocols import Chosen, choose_rows, deal, most_reported


def rows(count: int, *, start: int = 0, labels: int = 2, group: int = 0) -> list[Example]:
    """Rows with a text of their own; ``group`` of them in a row belong together."""
    return [
        Example({"sentence": str(number)}, number % labels, group=f"g{number // group}" if group else "")
        for number in range(start, start + count)
    ]


def names(part: Sequence[Example]) -> list[int]:
    return [int(example.texts["sentence"]) for example in part]


def choose(train: int | Sequence[Example], *, seed: int = 0, task: str = "sst2", **settings: Any) -> Chosen:
    examples = rows(train) if isinstance(train, int) else train
    asked = DataSettings.model_validate(settings)
    return choose_rows(TASKS.get(task), examples, rows(3000, start=100_000), asked, seed)


def sizes(chosen: Chosen) -> tuple[int, int, int]:
    return len(chosen.train), len(chosen.selection), len(chosen.validation)


SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"train_rows": 100},
    {"selection_fraction": 0.5},
    {"selection_rows": 30},
    {"protocol": "low-data"},
    {"protocol": "k-shot", "shots": 16},
)


@pytest.mark.parametrize(
    ("settings", "group"),
    [
        *((settings, 0) for settings in SETTINGS),
        *((settings, 5) for settings in SETTINGS if "shots" not in settings),
    ],
)
def test_the_rows_that_choose_neither_train_nor_are_reported(settings: dict[str, Any], group: int) -> None:
    chosen = choose(rows(2000, group=group), **settings)
    assert all(sizes(chosen))
    parts = [names(chosen.train), names(chosen.selection), names(chosen.validation)]
    together = [name for part in parts for name in part]
    assert len(together) == len(set(together))
    groups = [{row.group for row in part if row.group} for part in (chosen.train, chosen.selection)]
    assert not groups[0] & groups[1]


@pytest.mark.parametrize("protocol", ["low-data", "k-shot", "paper"])
def test_a_share_is_read_by_full_alone(protocol: str) -> None:
    with pytest.raises(ConfigError, match=r"data\.selection_fraction is 0\.5, but the protocol"):
        choose(500, protocol=protocol, selection_fraction=0.5, shots=2 if protocol == "k-shot" else None)


def test_many_rows_are_dealt_in_one_pass() -> None:
    """Looked up row by row in a list that is made anew, these would take minutes."""
    train, selection = deal(rows(60_000), [50_000, 10_000], 0)
    assert (len(train), len(selection)) == (50_000, 10_000)


@pytest.mark.parametrize("settings", SETTINGS)
def test_one_seed_draws_the_same_rows_and_another_others(settings: dict[str, Any]) -> None:
    first, again, other = (choose(2000, seed=seed, **settings) for seed in (1, 1, 2))
    assert first == again
    assert names(first.selection) != names(other.selection)
    assert names(first.train) != names(other.train)


@pytest.mark.parametrize(
    ("train", "settings", "expected"),
    [
        (500, {}, (450, 50, 3000)),
        (50_000, {}, (49_000, 1000, 3000)),
        (500, {"train_rows": 100}, (100, 10, 3000)),
        (500, {"selection_rows": 200}, (300, 200, 3000)),
        (500, {"selection_fraction": 0.2, "validation_rows": 7}, (400, 100, 7)),
        (2, {}, (1, 1, 3000)),
    ],
)
def test_full_trains_on_all_but_a_share(
    train: int, settings: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    chosen = choose(train, **settings)
    assert sizes(chosen) == expected
    verb = "is" if expected[1] == 1 else "are"
    held = f"{expected[1]:,} of the {train:,} train rows {verb} held out to choose the checkpoint"
    assert chosen.notes == (held,)


@pytest.mark.parametrize(
    ("task", "train", "expected"),
    [
        ("cb", 250, (150, 100)),
        ("copa", 400, (300, 100)),
        ("wsc", 554, (454, 100)),
        ("boolq", 9427, (1000, 500)),
        ("sst2", 1500, (1000, 500)),
        ("sst2", 1499, (1000, 100)),
        ("sst2", 10, (6, 4)),
    ],
)
def test_low_data_takes_the_published_splits(task: str, train: int, expected: tuple[int, int]) -> None:
    assert sizes(choose(train, task=task, protocol="low-data")) == (*expected, 1000)


def test_low_data_may_take_fewer() -> None:
    chosen = choose(9000, protocol="low-data", train_rows=64, selection_rows=32, validation_rows=9)
    assert sizes(chosen) == (64, 32, 9)


@pytest.mark.parametrize("labels", [2, 3, 6])
def test_k_shot_takes_as_many_of_each_label_to_train_and_to_choose(labels: int) -> None:
    task = {2: "sst2", 3: "cb", 6: "trec"}[labels]
    chosen = choose(rows(600, labels=labels), task=task, protocol="k-shot", shots=16)
    for part in (chosen.train, chosen.selection):
        assert Counter(row.label for row in part) == dict.fromkeys(range(labels), 16)
    assert len(chosen.validation) == 1000


def test_k_shot_takes_half_of_a_label_with_too_few_and_says_so() -> None:
    train = [*rows(100, labels=1), *(Example({"sentence": str(900 + i)}, 1) for i in range(9))]
    chosen = choose(train, protocol="k-shot", shots=16)
    assert Counter(row.label for row in chosen.train) == {0: 16, 1: 4}
    assert Counter(row.label for row in chosen.selection) == {0: 16, 1: 4}
    assert "the label positive has 9 rows: 4 train and 4 choose" in chosen.notes


@pytest.mark.parametrize("count", [0, 1])
def test_k_shot_refuses_a_label_with_too_few_for_both(count: int) -> None:
    train = [*rows(100, labels=1), *(Example({"sentence": str(900 + i)}, 1) for i in range(count))]
    with pytest.raises(DataError, match=f"The label positive has {count} of the training rows"):
        choose(train, protocol="k-shot", shots=16)


@pytest.mark.parametrize(
    ("task", "settings", "problem"),
    [
        ("sst2", {"protocol": "k-shot"}, "data.shots is missing"),
        ("stsb", {"protocol": "k-shot", "shots": 4}, "the task stsb has no labels"),
        ("copa", {"protocol": "k-shot", "shots": 4}, "the task copa has no labels"),
        (
            "sst2",
            {"protocol": "k-shot", "shots": 4, "train_rows": 9},
            "data.train_rows is 9, but the protocol",
        ),
        ("sst2", {"protocol": "full", "shots": 4}, "data.shots is 4, but the protocol full does not"),
        (
            "sst2",
            {"protocol": "paper", "selection_rows": 4},
            "data.selection_rows is 4, but the protocol paper",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    task: str, settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        choose(100, task=task, **settings)
    assert problem in caught.value.message


def test_k_shot_tears_no_groups() -> None:
    with pytest.raises(ConfigError, match="belong together"):
        choose(rows(100, group=5), protocol="k-shot", shots=2)


def test_paper_chooses_on_the_reported_rows_and_says_so() -> None:
    chosen = choose(500, protocol="paper", validation_rows=40)
    assert names(chosen.train) == list(range(500))
    assert chosen.selection is chosen.validation
    assert len(chosen.validation) == 40
    assert "split that is reported" in chosen.notes[0]


@pytest.mark.parametrize("train", [0, 1])
@pytest.mark.parametrize("protocol", ["full", "low-data"])
def test_too_few_rows_are_refused(train: int, protocol: str) -> None:
    with pytest.raises(DataError, match=f"{train} training rows? (is|are) too few"):
        choose(train, protocol=protocol)


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ({}, None),
        ({"protocol": "paper"}, None),
        ({"protocol": "low-data"}, 1000),
        ({"protocol": "k-shot", "shots": 2}, 1000),
        ({"protocol": "low-data", "validation_rows": 50}, 50),
    ],
)
def test_the_small_protocols_report_at_most_a_thousand_rows(
    settings: dict[str, Any], most: int | None
) -> None:
    assert most_reported(DataSettings.model_validate(settings)) == most


@pytest.mark.parametrize("group", [0, 4])
def test_a_smaller_draw_is_the_beginning_of_a_larger_one(group: int) -> None:
    examples = rows(100, group=group)
    (small, _), (large, _) = deal(examples, [20, 10], 3), deal(examples, [60, 10], 3)
    assert names(small) == names(large)[:20]


def test_groups_are_dealt_whole_and_no_part_is_too_large() -> None:
    parts = deal(rows(103, group=7), [30, 20, 100], 0)
    assert [len(part) <= count for part, count in zip(parts, (30, 20, 100), strict=True)] == [True] * 3
    for part in parts:
        for group, count in Counter(row.group for row in part).items():
            assert count == (5 if group == "g14" else 7)
    assert sorted(name for part in parts for name in names(part)) == list(range(103))


def test_a_group_larger_than_a_part_is_a_part_of_its_own() -> None:
    one, other = deal(rows(40, group=10), [4, 12], 0)
    assert (len(one), len(other)) == (10, 10)
    assert {row.group for row in one}.isdisjoint({row.group for row in other})


def test_more_rows_to_choose_by_than_there_are_are_refused() -> None:
    with pytest.raises(DataError, match="20 training rows are too few"):
        choose(20, selection_rows=30)


def test_all_rows_in_one_part_keep_their_order() -> None:
    assert [names(part) for part in deal(rows(9), [9], 5)] == [list(range(9))]
    assert names(deal(rows(9), [8], 5)[0]) != list(range(8))
