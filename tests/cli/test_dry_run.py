"""What ``train --dry-run`` tells before a run: where the adapter sits, the rows, their balance, memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loretta_cli.cli import dry_run_tables
from loretta_cli.cli.dry_run_tables import cut_line, data_rows, memory_warning, size
from loretta_cli.config import Config
from loretta_cli.measure import machine
from loretta_cli.measure.machine import FreeMemory
from loretta_cli.planning.data_facts import Cut, SplitFacts
from tests.cli.conftest import Workplace
from tests.command_line import Outcome, files_below, loretta
from tests.task_folders import write_tasks


def dry_run(workplace: Workplace, model: Path, *arguments: object) -> Outcome:
    asked = ("train", "--model", model, "--task", "sst2", "--data", workplace.sentences)
    return loretta(*asked, "--dry-run", *arguments)


def test_all_that_a_run_would_do_is_one_document(workplace: Workplace, tmp_path: Path) -> None:
    document = dry_run(workplace, workplace.encoder, "--json", "-o", tmp_path / "run").document

    modules = {one["pattern"]: one for one in document["modules"]}
    assert modules["bert.encoder.layer.{0,1}.attention.self.query"]["adapted"] == 2
    assert len(document["rows"]) == 3
    splits = {one["split"]: one for one in document["data"]}
    assert sum(splits["train"]["labels"].values()) == splits["train"]["rows"]
    assert document["length"]["steps"] > 0
    memory = document["memory"]
    assert memory["chosen"] == "backprop"
    for gradient in ("backprop", "zo"):
        assert memory[gradient]["total"] >= memory[gradient]["weights"] > 0
    assert memory["backprop"]["activations"] > memory["zo"]["activations"]
    assert document["disk"]["free"] > document["disk"]["needed"] > 0
    assert not files_below(tmp_path)


def test_the_screen_has_a_table_of_memory_with_the_chosen_gradient_named(workplace: Workplace) -> None:
    outcome = dry_run(workplace, workplace.decoder, "--gradient", "zo")

    assert outcome.exit_code == 0, outcome.stderr
    assert "zo (chosen)" in outcome.stdout
    assert "an evaluation at its worst" in outcome.stdout
    assert "no backward pass" in outcome.stdout
    assert outcome.stdout.count("as the model meets it") == 3


def test_a_budget_that_a_run_refuses_is_refused(workplace: Workplace, tmp_path: Path) -> None:
    budget = ("--gradient", "zo", "--set", "zo.max_forward_passes=1", "-o", tmp_path / "run")
    asked = ("train", "--model", workplace.encoder, "--task", "sst2", "--data", workplace.sentences)

    dry, real = (loretta(*asked, *budget, *more) for more in (("--dry-run",), ()))

    assert dry.exit_code == real.exit_code == 2
    errors = [[line for line in one.stderr.splitlines() if "error:" in line] for one in (dry, real)]
    assert errors[0] == errors[1] != []


def test_a_run_that_does_not_fit_is_warned_of_with_flags_and_ends_well(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: FreeMemory("cpu", "RAM", 2**16, 2**20))
    monkeypatch.setattr(machine, "free_disk", lambda folder: 1000)

    outcome = dry_run(workplace, workplace.encoder)

    assert outcome.exit_code == 0
    (told,) = [line for line in outcome.stderr.splitlines() if "this training takes about" in line]
    for flag in ("training.batch_size=4", "training.gradient_checkpointing=true", "--gradient zo"):
        assert flag in told
    assert "the disk has" in outcome.stderr


def test_labels_out_of_balance_are_warned_of(workplace: Workplace, tmp_path: Path) -> None:
    rows = [f"the day was warm {number},{'sad' if number == 7 else 'glad'}" for number in range(60)]
    file = tmp_path / "moods.csv"
    file.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    asked = ("train", "--model", workplace.encoder, "--task", "classification", "--data", file, "--dry-run")

    outcome = loretta(*asked)

    assert outcome.exit_code == 0, outcome.stderr
    assert "of the rows to train on are 'glad'" in outcome.stderr


def test_every_stage_of_several_tasks_has_its_rows_and_its_memory(
    workplace: Workplace, tmp_path: Path
) -> None:
    data = write_tasks(tmp_path / "data", "sst2", "mr")
    tasks = ("--task", "sst2", "--task", "mr", "--data", data)

    document = loretta("train", "--model", workplace.encoder, *tasks, "--dry-run", "--json").document

    assert [len(stage["rows"]) for stage in document["stages"]] == [3, 3]
    assert all(stage["memory"]["backprop"]["total"] for stage in document["stages"])


def test_a_partial_match_is_said(workplace: Workplace) -> None:
    outcome = dry_run(workplace, workplace.encoder, "--set", "adapter.layers_to_transform=[0]")

    assert "1 of 2" in outcome.stdout
    assert "1 module of this name has no adapter" in outcome.stderr


def test_sizes_are_readable() -> None:
    assert [size(number) for number in (0, 5, 3 * 2**20, 5 * 2**29)] == [
        "0 MiB",
        "< 1 MiB",
        "3 MiB",
        "2.5 GiB",
    ]


def test_rows_that_are_cut_are_told_with_the_length_that_cuts_none() -> None:
    lengths = {"50": 10, "90": 20, "99": 30, "max": 32}
    split = SplitFacts("train", 50, lengths, {}, Cut(rows=5, most=40, median=12, longest=72))

    ((title, columns, rows),) = data_rows([split], 32)

    assert title == "Tokens of a row"
    assert columns[-1] == "cut at 32"
    assert rows == [("train", "50", "10", "20", "30", "32", "5 (10.0%), by 12 to 40 tokens")]
    assert cut_line([split]) == "data.max_length=72 would cut no row"


def test_many_labels_are_shown_in_part() -> None:
    labels = {f"label {number}": number for number in range(40)}

    _, (title, _, rows) = data_rows([SplitFacts("train", 780, {}, labels)], 32)

    assert title == "Labels, the 12 most frequent of 40"
    assert len(rows) == dry_run_tables.MOST_LABELS
    assert rows[0][0] == "label 39"


def test_where_the_weights_alone_do_not_fit_quantisation_comes_first() -> None:
    from loretta_cli.measure.memory_estimate import Held, Pass, Passes, estimate_memory
    from loretta_cli.planning.memory import Memory

    held = Held(weights=10_000, trained=((2,),), trained_bytes=8)
    estimate = estimate_memory(held, Passes(Pass(100), Pass(50)), optimizer="adamw")
    memory: Any = Memory("backprop", {"backprop": estimate})

    told = memory_warning(memory, FreeMemory("cpu", "RAM", 5_000, 9_000), Config())

    assert "try: --set model.quantization=nf4; or" in told
    assert not memory_warning(memory, FreeMemory("cpu", "RAM", 50_000, 90_000), Config())


def test_only_zeroth_order_training_shows_the_settings_of_its_section(workplace: Workplace) -> None:
    assert "zo.queries" not in dry_run(workplace, workplace.encoder).stdout
    assert "zo.queries" in dry_run(workplace, workplace.encoder, "--gradient", "zo").stdout
