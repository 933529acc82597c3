"""One tiny workplace and a few finished runs, made once for all tests of the command line.

No test may change them: one that writes into a run copies it first.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.command_line import Outcome, loretta, write_labelled, write_sentences
from tests.rendering import curves_rendered_once

FEW_STEPS = (
    *("--set", "training.max_steps=6"),
    *("--set", "training.batch_size=4"),
    *("--set", "training.evaluate_every=3"),
)


@dataclass(frozen=True, slots=True)
class Workplace:
    """Folders that commands are run on: two models, and data of both kinds."""

    folder: Path
    encoder: Path
    decoder: Path
    sentences: Path
    labelled: Path


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run folder, and how the command that wrote it ended."""

    path: Path
    outcome: Outcome


@pytest.fixture(scope="session", autouse=True)
def _curves_are_rendered_once() -> Iterator[None]:
    with curves_rendered_once():
        yield


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Two tiny models and two data sources."""
    from tests.tiny_folders import save_tiny_decoder, save_tiny_encoder

    folder = tmp_path_factory.mktemp("workplace")
    return Workplace(
        folder,
        save_tiny_encoder(folder / "encoder"),
        save_tiny_decoder(folder / "decoder"),
        write_sentences(folder / "sentences"),
        write_labelled(folder / "labelled.csv"),
    )


def _finished(folder: Path, *arguments: object) -> FinishedRun:
    outcome = loretta("train", "--output", folder, *FEW_STEPS, *arguments, cwd=folder.parent)
    assert outcome.exit_code == 0, outcome.stderr
    return FinishedRun(folder, outcome)


@pytest.fixture(scope="session")
def rep_run(workplace: Workplace) -> FinishedRun:
    """rep on the encoder, sst2 with a classification head; plain output."""
    arguments = ("--model", workplace.encoder, "--task", "sst2", "--data", workplace.sentences)
    return _finished(workplace.folder / "rep-run", *arguments, "--method", "rep")


@pytest.fixture(scope="session")
def adp_run(workplace: Workplace) -> FinishedRun:
    """adp on the encoder, three labels of the user's own; ``--json``."""
    arguments = ("--model", workplace.encoder, "--task", "classification", "--data", workplace.labelled)
    columns = ("--set", "data.columns.text=message", "--set", "data.columns.label=mood")
    return _finished(workplace.folder / "adp-run", *arguments, *columns, "--method", "adp", "--json")


@pytest.fixture(scope="session")
def prompt_run(workplace: Workplace) -> FinishedRun:
    """rep on the decoder, sst2 as a prompt."""
    arguments = ("--model", workplace.decoder, "--task", "sst2", "--data", workplace.sentences)
    return _finished(workplace.folder / "prompt-run", *arguments, "--method", "rep", "--json")


@pytest.fixture(scope="session")
def gguf_run(workplace: Workplace) -> FinishedRun:
    """rep on the decoder as a GGUF file, ``gguf/decoder.gguf`` in the workplace; sst2 as a prompt."""
    pytest.importorskip("gguf", reason="the extra export is not installed")
    from transformers import AutoModelForCausalLM

    from tests.gguf_models import write_gguf
    from tests.tiny_folders import decoder_tokenizer

    file = workplace.folder / "gguf" / "decoder.gguf"
    file.parent.mkdir()
    write_gguf(AutoModelForCausalLM.from_pretrained(workplace.decoder), decoder_tokenizer(), file)
    arguments = ("--model", file, "--task", "sst2", "--data", workplace.sentences)
    return _finished(workplace.folder / "gguf-run", *arguments, "--method", "rep", "--json")


@pytest.fixture(scope="session")
def paper_run(workplace: Workplace) -> Callable[[str], FinishedRun]:
    """rep with the paper preset on a tiny RoBERTa or DeBERTa: trained norms and a tensor-train head."""
    made: dict[str, FinishedRun] = {}

    def run(family: str) -> FinishedRun:
        if family not in made:
            model = _save_family(workplace.folder / family, family)
            arguments = ("--model", model, "--task", "sst2", "--data", workplace.sentences)
            folder = workplace.folder / f"paper-{family}"
            made[family] = _finished(folder, *arguments, "--preset", "paper", "--method", "rep")
        return made[family]

    return run


def _save_family(folder: Path, family: str) -> Path:
    """A base checkpoint without its classification head, with a tokenizer."""
    from tests.tiny_folders import encoder_tokenizer
    from tests.tiny_models import tiny_model

    tokenizer = encoder_tokenizer()
    sizes = {"vocab_size": len(tokenizer), "max_position_embeddings": 130}
    model = tiny_model(family, **sizes, pad_token_id=tokenizer.pad_token_id)
    model.base_model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[FinishedRun], Path]:
    """A copy of a run that the test may change."""

    def copy(run: FinishedRun) -> Path:
        return Path(shutil.copytree(run.path, tmp_path / run.path.name))

    return copy
