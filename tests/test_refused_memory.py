"""Memory that is refused: told from other errors, and in one sentence by any verb."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer

from loretta_cli.cli.shell import command
from loretta_cli.models.loading import _attempt
from loretta_cli.models.source import ModelSource
from loretta_cli.refused_memory import is_out_of_memory, refused
from tests.command_line import child_environment

CPU = RuntimeError(
    "DefaultCPUAllocator: can't allocate memory: you tried to allocate 6442450944 bytes. Error"
)
GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 79 GiB")


@pytest.mark.parametrize("error", [CPU, GPU, MemoryError(), OSError(12, "Cannot allocate memory")])
def test_refusals_are_known(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("a size does not fit"), OSError("no such file"), KeyError("memory")]
)
def test_other_errors_are_none(error: Exception) -> None:
    assert not is_out_of_memory(error)


def test_what_was_asked_for_is_said() -> None:
    assert refused(CPU) == "the machine has no room for 6.0 GiB more"
    assert refused(GPU) == "the GPU has no room for 2.0 GiB more"
    assert refused(MemoryError()) == "the machine has no more memory"


@pytest.mark.parametrize("error", [CPU, GPU, MemoryError()])
def test_any_verb_tells_of_it_in_one_sentence(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, command(json=False):
        raise error

    assert caught.value.exit_code == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: Out of memory: {refused(error)}.")
    assert "--dry-run" in said


def test_another_error_of_a_verb_is_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="a size does not fit"), command(json=False):
        raise RuntimeError("a size does not fit")


@pytest.mark.parametrize("gguf_file", [None, "model.gguf"])
def test_a_model_that_has_no_room_is_not_called_damaged(tmp_path: Path, gguf_file: str | None) -> None:
    source = ModelSource(name="model", location=str(tmp_path), is_local=True, gguf_file=gguf_file)

    def load() -> None:
        raise CPU

    with pytest.raises(RuntimeError, match="can't allocate memory"):
        _attempt(source, load)


def test_it_is_known_without_torch() -> None:
    script = (
        "import sys; from loretta_cli.refused_memory import is_out_of_memory, let_go\n"
        "let_go(MemoryError()); print(is_out_of_memory(MemoryError()), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=child_environment()
    )
    assert done.stdout.split() == ["True", "False"]
