"""Predictions are those of an evaluation, of every form and method, whether rows have answers or not."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from loretta_cli.artifacts.restore import restore
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.evaluation.asked_run import find_asked
from loretta_cli.evaluation.evaluate import NotFiniteError, encode, evaluate
from loretta_cli.evaluation.predict import Predictor, load_predictor
from loretta_cli.evaluation.prediction_rows import Questions
from tests.command_line import loretta, sentence, write_sentences
from tests.rendering import curves_rendered_once
from tests.tiny_folders import save_tiny_decoder, save_tiny_encoder, save_tiny_encoder_decoder
from tests.tiny_masked import save_tiny_masked

FEW = (
    *("--set", "training.max_steps=3", "--set", "training.batch_size=4", "--set", "data.max_length=64"),
    *("--set", "training.evaluation_batch_size=3"),
)
LONGEST = ("--set", "task.max_new_tokens=5")
ROWS = 11
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def own(number: int) -> dict[str, Any]:
    """A row with columns for every task of one's own."""
    text, label = sentence(number)
    options = ["red", "old", "sun"][: 2 + number % 2]
    word = ("good", "bad")[label]
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": word}]
    return {
        "text": text,
        "score": label + number / 100,
        "choices": options,
        "right": label,
        "output": word,
        "chat": messages,
    }


CASES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "a head": ("encoder", "sst2", ()),
    "a gap": ("masked", "sst2", ("task.form=masked",)),
    "a prompt": ("decoder", "sst2", ()),
    "a calibrated prompt": ("decoder", "sst2", ("task.calibration=true",)),
    "text to text": ("t5", "sst2", ()),
    "a score": ("encoder", "regression", ("data.columns.text=text", "data.columns.label=score")),
    "a score in words": (
        "decoder",
        "regression",
        ("data.columns.text=text", "data.columns.label=score", 'task.options=["0", "1", "2"]'),
    ),
    "options": ("encoder", "multiple-choice", ("data.columns.text=text", "data.columns.label=right")),
    "options behind a prompt": (
        "decoder",
        "multiple-choice",
        ("data.columns.text=text", "data.columns.label=right"),
    ),
    "a text": ("decoder", "generation", ("data.columns.prompt=text", "data.columns.completion=output")),
    "a text of text": ("t5", "generation", ("data.columns.prompt=text", "data.columns.completion=output")),
    "a chat": ("chat", "generation", ("data.columns.messages=chat", "task.metrics=[f1]")),
}
BOTH = {
    name: ("rep", "adp") if name in ("a head", "a gap", "a prompt", "a text") else ("rep",) for name in CASES
}
RUNS = [(name, method) for name, methods in BOTH.items() for method in methods]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of every kind, and rows."""
    from transformers import AutoTokenizer

    place = tmp_path_factory.mktemp("asked")
    save_tiny_encoder(place / "encoder")
    save_tiny_masked(place / "masked", "roberta")
    save_tiny_decoder(place / "decoder")
    save_tiny_encoder_decoder(place / "t5")
    save_tiny_decoder(place / "chat")
    tokenizer = AutoTokenizer.from_pretrained(place / "chat")
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(place / "chat")
    write_sentences(place / "sentences", validation=ROWS)
    (place / "own").mkdir()
    for split, numbers in (("train", range(24)), ("validation", range(24, 24 + ROWS))):
        lines = "".join(json.dumps(own(number)) + "\n" for number in numbers)
        (place / "own" / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def run_of(place: Path) -> Callable[[str, str], Path]:
    """A finished run; the same names give the same one."""

    def trained(name: str, method: str) -> Path:
        folder = place / f"{name} {method}".replace(" ", "-")
        if not folder.is_dir():
            model, task, settings = CASES[name]
            data = place / ("sentences" if task == "sst2" else "own")
            flags = [part for setting in settings for part in ("--set", setting)]
            with curves_rendered_once():
                done = loretta(
                    *("train", "--model", place / model, "--task", task, "--data", data, "--method", method),
                    *(*FEW, *flags, *(LONGEST if task == "generation" else ()), "--output", folder),
                )
            assert done.exit_code == 0, done.stderr
        return folder

    return trained


@cache
def asking(run: Path) -> tuple[Predictor, Questions]:
    """The model of a run, and what makes its rows."""
    asked = find_asked(run)
    return load_predictor(asked), Questions(asked.task)


def validation_file(run: Path) -> Path:
    data = Path(str(RunFolder(run).read_config().data.source))
    return next(data.glob("validation.*"))


@pytest.mark.parametrize(("name", "method"), RUNS, ids=[f"{name}, {method}" for name, method in RUNS])
def test_predictions_are_those_of_the_evaluation_to_the_last_bit(
    name: str, method: str, run_of: Callable[[str, str], Path]
) -> None:
    run = run_of(name, method)
    predictor, questions = asking(run)
    rows = questions.of_file(validation_file(run))

    restored = restore(RunFolder(run))
    plan = restored.plan
    size = plan.config.training.evaluation_batch_size
    expected = evaluate(restored.model, plan.form, encode(plan.form, plan.data.validation), batch_size=size)
    found = predictor.ask([example for _, example in rows])

    assert len(found.answers) == len(expected.predictions) == ROWS
    assert found.shortened == expected.shortened
    for answer, prediction, example in zip(
        found.answers, expected.predictions, plan.data.validation, strict=True
    ):
        names = plan.data.task.labels or example.options
        value = names[prediction.value] if isinstance(prediction.value, int) else prediction.value
        assert answer.value == value
        if isinstance(prediction.value, int):
            scores = torch.tensor(prediction.scores[: len(names)], dtype=torch.float64)
            assert answer.names == names
            assert answer.probabilities == pytest.approx(scores.softmax(-1).tolist(), abs=1e-12)
            assert answer.probability == max(answer.probabilities)
    assert len(set(found.answers)) > 1, "or nothing is compared"


@pytest.mark.parametrize(("name", "method"), RUNS, ids=[f"{name}, {method}" for name, method in RUNS])
def test_rows_without_their_answers_get_the_same_predictions(
    name: str, method: str, run_of: Callable[[str, str], Path], tmp_path: Path
) -> None:
    run = run_of(name, method)
    predictor, questions = asking(run)
    rows = questions.of_file(validation_file(run))
    (column, *others) = questions.task.columns
    bare = tmp_path / "bare.jsonl"
    lines = []
    for row, _ in rows:
        cells = {name: row.values[name] for name in (column, *others)}
        if column == "chat":
            cells = {column: cells[column][:-1]}
        lines.append(json.dumps(cells) + "\n")
    bare.write_text("".join(lines), encoding="utf-8")

    whole = predictor.ask([example for _, example in rows])
    without = predictor.ask([example for _, example in questions.of_file(bare)])

    assert whole == without


def test_each_row_alone_gets_the_answer_that_it_gets_among_others(
    run_of: Callable[[str, str], Path],
) -> None:
    for name in ("a head", "a prompt", "a text"):
        run = run_of(name, "rep")
        predictor, questions = asking(run)
        examples = [example for _, example in questions.of_file(validation_file(run))]

        together = predictor.ask(examples).answers
        for example, answer in zip(examples, together, strict=True):
            (alone,) = predictor.ask([example]).answers
            assert alone.value == answer.value
            assert alone.probabilities == pytest.approx(answer.probabilities, abs=1e-5)


def test_a_text_is_told_in_pieces_that_together_are_it(run_of: Callable[[str, str], Path]) -> None:
    for name in ("a text", "a text of text", "a chat"):
        run = run_of(name, "rep")
        asked = find_asked(run, max_new_tokens=12)
        predictor = load_predictor(asked)
        most = 0
        for _, example in Questions(asked.task).of_file(validation_file(run)):
            pieces: list[str] = []
            (told,) = predictor.write(example, pieces.append).answers
            (asked_for,) = predictor.ask([example]).answers
            assert "".join(pieces) == told.value == asked_for.value
            most = max(most, len(pieces))
        assert most > 1, name


def test_the_rows_done_are_told_and_long_rows_are_counted(run_of: Callable[[str, str], Path]) -> None:
    predictor, questions = asking(run_of("a head", "rep"))
    texts = ["the sun", "the river is cold water " * 30, "the film"]
    done: list[int] = []

    examples = [questions.of_text(text, "a test", 1)[1] for text in texts]
    found = predictor.ask(examples, batch_size=2, done=done.append)

    assert done == [2, 3]
    assert found.shortened == 1


def test_scores_that_are_not_finite_are_an_error_that_names_the_row(
    run_of: Callable[[str, str], Path],
) -> None:
    asked = find_asked(run_of("a head", "rep"))
    predictor = load_predictor(asked)
    for parameter in predictor.model.parameters():
        parameter.data.fill_(torch.nan)
    _, example = Questions(asked.task).of_text("the sun", "a test", 7)

    with pytest.raises(NotFiniteError, match="a test, row 7: The model's scores"):
        Predictor(predictor.plan, predictor.model).ask([example])


def test_a_run_is_asked_where_its_data_are_gone(run_of: Callable[[str, str], Path], place: Path) -> None:
    run = run_of("a head", "rep")
    (place / "sentences").rename(place / "elsewhere")
    try:
        asked = find_asked(run)
        _, example = Questions(asked.task).of_text("the sun", "a test", 1)
        (answer,) = load_predictor(asked).ask([example]).answers
    finally:
        (place / "elsewhere").rename(place / "sentences")

    assert answer.value in ("negative", "positive")
