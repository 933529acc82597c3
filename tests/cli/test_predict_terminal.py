"""``predict`` at a terminal: texts are asked for one by one, and what is written appears while it is."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import FEW_STEPS, FinishedRun, Workplace
from tests.cli.test_own_tasks import CHAT_TEMPLATE
from tests.command_line import loretta, sentence
from tests.terminals import at_terminal

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the system has no such terminals")
END = "\x04"


@pytest.fixture(scope="module")
def chat_run(workplace: Workplace) -> FinishedRun:
    """rep on a decoder with a chat template."""
    from tests.tiny_folders import decoder_tokenizer, save_tiny_decoder

    model = save_tiny_decoder(workplace.folder / "chat-model")
    tokenizer = decoder_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(model)
    data = workplace.folder / "chats.jsonl"
    lines = []
    for number in range(24):
        turns = [("user", sentence(number)[0]), ("assistant", "no it is not")]
        lines.append(json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]}))
    data.write_text("\n".join(lines), encoding="utf-8")
    run = workplace.folder / "chat-run"
    asked = ("--model", model, "--task", "generation", "--data", data, "--output", run)
    outcome = loretta("train", *asked, *FEW_STEPS, "--set", "task.max_new_tokens=6")
    assert outcome.exit_code == 0, outcome.stderr
    return FinishedRun(run, outcome)


def test_texts_are_asked_for_until_the_end(rep_run: FinishedRun, tmp_path: Path) -> None:
    typed = [("> ", "the film was fun\n"), ("> ", '{"body": 1}\n'), ("> ", "\n"), ("> ", END)]

    code, seen = at_terminal(["predict", rep_run.path], typed, cwd=tmp_path)

    assert code == 0, seen
    assert "Type a text and press Enter. Ctrl+D ends." in seen
    (line,) = loretta("predict", rep_run.path, "the film was fun", "--json").stdout.splitlines()
    said = json.loads(line)
    assert f"{said['probability']:.4f}" in seen
    assert seen.index(said["prediction"]) < seen.index(f"{said['probability']:.4f}")
    assert "the column 'sentence' is missing; found body" in seen
    assert seen.count("> ") == 4
    assert "Traceback" not in seen


def test_a_conversation_goes_on_until_an_empty_line(chat_run: FinishedRun, tmp_path: Path) -> None:
    first, second = "the sun is warm", "is the river cold"
    typed = [("> ", f"{first}\n"), ("> ", f"{second}\n"), ("> ", "\n"), ("> ", f"{second}\n"), ("> ", END)]

    code, seen = at_terminal(["predict", chat_run.path, "--json"], typed, cwd=tmp_path)

    assert code == 0, seen
    rows = [json.loads(line) for line in seen.splitlines() if line.startswith("{")]
    said = [[message["content"] for message in row["messages"]] for row in rows]
    answers = [row["prediction"] for row in rows]
    assert said == [[first], [first, answers[0], second], [second]]


class Terminal(io.StringIO):
    """A stdout that says it is one."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> str:
    """What a command writes to a terminal of 80 columns."""
    from loretta_cli.cli.app import app

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    app([str(argument) for argument in arguments], standalone_mode=False)
    return terminal.getvalue()


def test_what_is_written_appears_in_pieces_and_is_the_text(
    chat_run: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = loretta("predict", chat_run.path, "the sun", "--json").stdout.splitlines()
    text = json.loads(line)["prediction"]
    flushes: list[str] = []
    monkeypatch.setattr(Terminal, "flush", lambda self: flushes.append(self.getvalue()))

    seen = shown(monkeypatch, "predict", chat_run.path, "the sun")

    assert "".join(char for char in seen if char.isprintable()) == "".join(
        char for char in text if char.isprintable()
    )
    assert len(set(flushes)) > 1, "the pieces"


def test_rows_of_a_file_fit_the_terminal(
    rep_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("the film was good\n" + "the water is blue and " * 10 + "\n", encoding="utf-8")

    one, other = shown(monkeypatch, "predict", rep_run.path, "--input", file).splitlines()

    assert one.endswith("  the film was good")
    assert len(other) == 80
    assert other.endswith("\N{HORIZONTAL ELLIPSIS}")
