"""Data of the user's own, one task after the other: trained and evaluated on tiny models, shown before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Workplace
from tests.command_line import loretta

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
FEW = ("--set", "training.max_steps=2", "--set", "training.batch_size=4", "--set", "task.max_new_tokens=4")


def row(name: str, number: int) -> dict[str, Any]:
    """One row of the data of a task."""
    word, is_good = f"the day {number}", number % 2
    good = "good" if is_good else "bad"
    return {
        "classification": {"text": f"{word} was {good}", "label": good},
        "regression": {"text": f"{word} was {good}", "mood": good, "score": is_good + number / 100},
        "multiple-choice": {"question": word, "choices": ["red", "old", "sun"], "answer": "AB"[is_good]},
        "generation": {"instruction": word, "output": good},
        "chat": {"messages": [{"role": "user", "content": word}, {"role": "assistant", "content": good}]},
        "language-modeling": {"text": f"{word} was {good}"},
    }[name]


def write(folder: Path, name: str) -> Path:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row(name, number)) + "\n" for number in range(24)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny decoder with a chat template."""
    from tests.tiny_folders import decoder_tokenizer, save_tiny_decoder

    folder = save_tiny_decoder(tmp_path_factory.mktemp("chat") / "model")
    tokenizer = decoder_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "model", "main_metric", "others"),
    [
        ("classification", "encoder", "accuracy", ("macro_f1",)),
        ("regression", "encoder", "spearman", ("pearson",)),
        ("multiple-choice", "encoder", "accuracy", ()),
        ("multiple-choice", "decoder", "accuracy", ()),
        ("generation", "decoder", "f1", ("exact_match",)),
        ("chat", "chat", "perplexity", ()),
        ("language-modeling", "decoder", "perplexity", ()),
    ],
)
def test_an_own_task_trains_and_evaluates(
    name: str,
    model: str,
    main_metric: str,
    others: tuple[str, ...],
    workplace: Workplace,
    chat_model: Path,
    tmp_path: Path,
) -> None:
    models = {"encoder": workplace.encoder, "decoder": workplace.decoder, "chat": chat_model}
    task = "generation" if name == "chat" else name
    few = FEW if task == "generation" else FEW[:4]
    arguments = ("--model", models[model], "--task", task, "--data", write(tmp_path, name), *few)

    trained = loretta("train", *arguments, "--output", tmp_path / "run", "--json")
    assert trained.exit_code == 0, trained.stderr
    evaluated = loretta("eval", tmp_path / "run", "--json")
    assert evaluated.exit_code == 0, evaluated.stderr

    (result,) = evaluated.document["results"]
    assert result["main_metric"] == main_metric
    assert list(result["metrics"]) == [main_metric, *others, "loss"]
    assert result["metrics"] == pytest.approx(trained.document["metrics"], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "model", "settings", "lines"),
    [
        ("classification", "encoder", (), ("row 1, as the model meets it: ", "  [CLS] the day ")),
        (
            "classification",
            "decoder",
            ('task.prompt="Say: {text}\\n"', "task.options=['yes', 'no']"),
            ("  <s>Say: the day ", "  (one of 'yes', 'no')"),
        ),
        ("multiple-choice", "decoder", (), ("  (the right one of 3 options is learned)",)),
        ("generation", "decoder", ("task.max_new_tokens=4",), ("  <s>the day ", "  (the answer and its end")),
        ("language-modeling", "decoder", (), ("  <s>\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}the day ",)),
    ],
)
def test_a_dry_run_shows_the_first_row_as_the_model_meets_it(
    name: str,
    model: str,
    settings: tuple[str, ...],
    lines: tuple[str, ...],
    workplace: Workplace,
    tmp_path: Path,
) -> None:
    models = {"encoder": workplace.encoder, "decoder": workplace.decoder}
    arguments = ["--model", models[model], "--task", name, "--data", write(tmp_path, name), "--dry-run"]
    for setting in settings:
        arguments += ["--set", setting]

    outcome = loretta("train", *arguments, cwd=tmp_path)

    assert outcome.exit_code == 0, outcome.stderr
    _, _, shown = outcome.stdout.partition("training: ")
    for line in lines:
        assert any(one.startswith(line) for one in shown.splitlines()), shown
    document = loretta("train", *arguments, "--json", cwd=tmp_path).document
    assert document["first_row"]
    pieces = document["rows"][0]["pieces"]
    is_classified = model == "encoder"
    assert [piece["trained"] for piece in pieces] == ([False] if is_classified else [False, True])
    text = "".join(piece["text"] for piece in pieces).replace("\n", "\\n")
    opened, closed = (
        "\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}",
        "\N{MATHEMATICAL RIGHT WHITE SQUARE BRACKET}",
    )
    assert text in shown.replace(opened, "").replace(closed, "")


@pytest.mark.parametrize(
    ("name", "model", "settings", "says"),
    [
        ("regression", "encoder", ("data.columns.label=mood",), ("column 'mood': found the score",)),
        (
            "classification",
            "encoder",
            ("task.prompt={text}",),
            ("task.prompt is set", "form is classification"),
        ),
        (
            "classification",
            "decoder",
            ("task.prompt={txt}",),
            ("names the column 'txt'", "Did you mean 'text'?"),
        ),
        ("classification", "decoder", ("task.metrics=[acuracy]",), ("Did you mean 'accuracy'?",)),
        ("generation", "encoder", (), ("generation",)),
        ("generation", "decoder", ("data.labels=[a, b]",), ("data.labels is set, but the task generation",)),
        ("language-modeling", "encoder", (), ("generation",)),
    ],
)
def test_what_does_not_go_together_gets_one_sentence(
    name: str,
    model: str,
    settings: tuple[str, ...],
    says: tuple[str, ...],
    workplace: Workplace,
    tmp_path: Path,
) -> None:
    models = {"encoder": workplace.encoder, "decoder": workplace.decoder}
    arguments = ["--model", models[model], "--task", name, "--data", write(tmp_path, name)]
    for setting in settings:
        key, _, value = setting.partition("=")
        arguments += ["--set", f"{key}='{value}'" if "{" in value else setting]

    outcome = loretta("train", *arguments, cwd=tmp_path)

    assert outcome.exit_code == 2
    for words in says:
        assert words in outcome.stderr, outcome.stderr
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.jsonl"]
