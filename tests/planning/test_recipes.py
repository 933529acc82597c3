"""Every shipped recipe, dry-run by ``loretta train RECIPE --dry-run`` on the bundled architecture facts.

Only what the hub would give is from here: the facts of each model, cut to two blocks, a tiny tokenizer of its
kind, and a few rows of each task.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import chain
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
ENCODERS = ("deberta", "roberta", "minilm")
WRITTEN = ("squad", "drop", "generation", "language-modeling")
"""Tasks that a language model answers in its own words."""
BLOCKS = 2
ROWS = 240
"""Enough for 16 rows to train on and 16 to choose by of each of the five labels of sst5."""
FULL = dict(ARCHITECTURES)
PAPER_MODELS = presets.PAPER_MODELS
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
QUESTION: dict[str, Any] = {"title": "Force", "context": "W bosons cause decay.", "question": "What do they?"}
SPANS = {"spans": ["Bears", "Packers"], "types": ["span", "span"]}

DryRun = Callable[[str], Outcome]


def task_row(task: str, number: int) -> dict[str, Any]:
    """A row of a task as on the hub; the labels take turns."""
    if task == "squad":
        return {**QUESTION, "id": str(number), "answers": {"text": ["decay"], "answer_start": [15]}}
    if task == "drop":
        return {"passage": "Bears 3, Packers 1.", "question": "Who played?", "answers_spans": SPANS}
    row = dict(CASES[task].row)
    if task == "multirc":
        row["question"] = f"{row['question']} {number // 3}"
    if task != "record":
        row["label"] = number % (len(LABELS[task]) or 2)
    return row


def own_row(file: str, number: int) -> dict[str, Any]:
    """A row of a file of the user's own."""
    text, label = sentence(number)
    good = ("bad", "good")[label]
    turns = [{"role": "user", "content": text}, {"role": "assistant", "content": good}]
    return {
        "reviews.csv": {"text": text, "label": good},
        "ratings.csv": {"text": text, "score": number / 10},
        "chats.jsonl": {"messages": turns},
        "instructions.jsonl": {"instruction": text, "output": good},
        "questions.jsonl": {"question": text, "options": ["red", "old", "sun"], "answer": "AB"[label]},
    }[file]


def write_jsonl(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data folder for each task, and the files of the user's own that recipes name."""
    folder = tmp_path_factory.mktemp("recipes")
    for task in {*CASES, "squad", "drop"}:
        (folder / task).mkdir()
        write_jsonl(folder / task / "train.jsonl", [task_row(task, number) for number in range(ROWS)])
        write_jsonl(folder / task / "validation.jsonl", [task_row(task, number) for number in range(12)])
    for file in ("chats.jsonl", "instructions.jsonl", "questions.jsonl"):
        write_jsonl(folder / file, [own_row(file, number) for number in range(40)])
    for file in ("reviews.csv", "ratings.csv"):
        rows = [own_row(file, number) for number in range(40)]
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "book.txt").write_text("\n\n".join(sentence(number)[0] for number in range(40)) + "\n")
    return folder


@cache
def tiny_tokenizer(kind: str) -> Any:
    found = masked_tokenizer("roberta") if kind == "encoder" else decoder_tokenizer()
    found.chat_template = CHAT_TEMPLATE if kind == "chat" else None
    return found


def is_encoder(model: str) -> bool:
    return any(name in model for name in ENCODERS)


def tokenizer_of(source: ModelSource, **options: Any) -> Any:
    """Stands in for the hub's tokenizer; a bundled model has its own."""
    if source.is_local:
        return load_tokenizer(source)
    return tiny_tokenizer(
        "encoder" if is_encoder(source.name) else "chat" if "Instruct" in source.name else "decoder"
    )


@pytest.fixture(scope="module", autouse=True)
def _no_hub() -> Iterator[None]:
    """The facts of two blocks of each model, with the preset that the whole model gets."""
    with pytest.MonkeyPatch.context() as patch:
        for name, known in FULL.items():
            cut = {**known.settings, "num_hidden_layers": BLOCKS}
            patch.setitem(ARCHITECTURES, name, replace(known, settings=cut))
        short = {(family, width, BLOCKS) for family, width, _ in PAPER_MODELS}
        patch.setattr(presets, "PAPER_MODELS", PAPER_MODELS | short)
        patch.setattr(plan, "load_config", lambda source, **options: architecture_config(source))
        patch.setattr(plan, "load_tokenizer", tokenizer_of)
        yield


@pytest.fixture(scope="module")
def dry_run(place: Path) -> DryRun:
    """Dry-runs a recipe on the rows of its task, once."""

    @cache
    def run(name: str) -> Outcome:
        config = recipe(name)
        data = place / (config.task.name or "")
        given = ("--data", data) if config.data.source is None else ()
        return loretta("train", name, *given, "--dry-run", "--json", cwd=place)

    return run


@cache
def recipe(name: str) -> Config:
    return load_config(find_recipe(name)).config


def form_meant(config: Config) -> str:
    model, task = config.model.name or "", config.task.name
    if config.task.form != "auto":
        return config.task.form
    return "classification" if is_encoder(model) else "generation" if task in WRITTEN else "prompt"


@pytest.mark.parametrize("name", OF_ONE_TASK)
def test_a_recipe_dry_runs_in_the_form_that_is_meant(name: str, dry_run: DryRun) -> None:
    outcome, config = dry_run(name), recipe(name)
    assert outcome.exit_code == 0, outcome.stderr
    document = outcome.document

    form = form_meant(config)
    assert document["config"]["task"]["form"] == form
    options = {"prompt", "options", "answer"}
    own_options = config.task.name in ("copa", "record", "multiple-choice")
    shown = {"prompt": options, "masked": options, "generation": {"prompt", "answer"}}
    if form == "classification":
        assert "text of option 0" in document["first_row"] if own_options else "text" in document["first_row"]
    elif config.task.name != "language-modeling":
        assert set(document["first_row"]) == shown[form]
    if form == "masked":
        assert "<mask>" in document["first_row"]["prompt"]


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

    source = said.pop("data.source", None)
    assert source is None or resolved["data.source"].endswith(source)
    assert said == {key: resolved[key] for key in said}


def counted(config: Config, stage: Mapping[str, Any]) -> dict[str, Any]:
    """What ``loretta count-params`` says of a recipe: by formula, where there is one."""
    labels = None
    if stage["config"]["task"]["form"] == "classification":
        names = stage["config"]["data"]["labels"] or LABELS.get(stage["config"]["task"]["name"])
        labels = len(names or ()) or 1
    method = config.adapter.method
    (entry,) = count_methods(config, [method], asked={method}, labels=labels)
    document: dict[str, Any] = json.loads(json.dumps(entry.count.as_json()))
    return document


@pytest.mark.parametrize("name", RECIPES)
def test_what_would_train_is_what_count_params_says(name: str, dry_run: DryRun) -> None:
    document = dry_run(name).document

    for stage in document.get("stages", [document]):
        assert stage["parameters"]["trainable"] > 0
        assert stage["parameters"] == counted(recipe(name), stage)


@pytest.mark.parametrize("name", [name for name in RECIPES if recipe(name).adapter.method in ("adp", "rep")])
def test_what_a_recipe_leaves_open_is_from_the_preset_of_the_whole_model(name: str, dry_run: DryRun) -> None:
    asked, document = recipe(name).adapter, dry_run(name).document
    if recipe(name).model.name not in FULL:
        pytest.skip("a model on the disk is not cut")
    known = FULL[recipe(name).model.name or ""]
    method: presets.Method = "adp" if asked.method == "adp" else "rep"
    facts = {"model_type": known.model_type, **known.settings}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presets, "PAPER_MODELS", PAPER_MODELS)
        preset = presets.preset_for(method, asked.preset, facts)

    expected = {key: getattr(preset, key) for key in ("tt_rank", "bottleneck", "alpha", "train_norms")}
    if method == "adp":
        expected |= {"bias": preset.adapter_bias, "placement": preset.placement}
    resolved = document["config"]["adapter"]
    assert {key: resolved[key] for key in expected} == {**expected, **asked.given} | {
        key: resolved[key] for key in expected
    }


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_a_sequential_recipe_dry_runs_every_stage(name: str, dry_run: DryRun) -> None:
    outcome = dry_run(name)
    assert outcome.exit_code == 0, outcome.stderr

    stages = outcome.document["stages"]
    assert [stage["config"]["task"]["name"] for stage in stages] == recipe(name).task.names
    assert {stage["config"]["task"]["form"] for stage in stages} == {"classification"}
    assert {json.dumps(stage["parameters"]) for stage in stages} == {json.dumps(stages[0]["parameters"])}
    print(list(chain()))
