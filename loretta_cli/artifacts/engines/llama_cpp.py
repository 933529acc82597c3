"""llama.cpp through the package xllamacpp: greedy continuations and log-probabilities of a GGUF model."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loretta_cli.artifacts.engines import EngineError

INSTALL = "pip install xllamacpp"
SECONDS = 3600.0
"""So long all questions of one call may take."""
_CHILD = Path(__file__).with_name("llama_cpp_process.py")
_SPARE_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Option:
    """A continuation to be scored.

    Args:
        prompt: Tokens before it, a begin-of-sequence token included where the model wants one.
        tokens: Its own tokens.
    """

    prompt: Sequence[int]
    tokens: Sequence[int]


@dataclass(frozen=True, slots=True)
class Answers:
    """What llama.cpp computed.

    Args:
        continuations: Of each prompt, the tokens that follow greedily, an end token included.
        options: Of each option, the log-probability of each token.
    """

    continuations: list[list[int]]
    options: list[list[float]]


def is_installed() -> bool:
    """Whether the package is there."""
    return importlib.util.find_spec("xllamacpp") is not None


def engine_name() -> str:
    """Name and version for reports."""
    if not is_installed():
        return "llama.cpp"
    return f"llama.cpp (xllamacpp {importlib.metadata.version('xllamacpp')})"


def ask(
    model: Path,
    *,
    adapters: Sequence[Path] = (),
    prompts: Sequence[str | Sequence[int]] = (),
    length: int = 16,
    options: Sequence[Option] = (),
    threads: int = 1,
) -> Answers:
    """Load a GGUF model in a new process, compute, and end the process.

    The cache is kept in fp32 and attention computed the plain way, so that what differs from transformers is
    the weights.

    Args:
        model: The GGUF file.
        adapters: LoRA files in GGUF, each at scale 1.
        prompts: Texts, which llama.cpp tokenises itself, or tokens; each is continued greedily.
        length: Tokens of a continuation, unless the model ends it.
        options: To be scored.
        threads: Of the CPU; more than are idle make it slower, not faster.

    Raises:
        EngineError: If xllamacpp is missing, a file cannot be loaded, or the process breaks down.
    """
    if not is_installed():
        raise EngineError("llama.cpp is not installed.", hint=INSTALL)
    prompts = [prompt if isinstance(prompt, str) else list(prompt) for prompt in prompts]
    tasks: list[dict[str, Any]] = [{"prompt": prompt, "length": length} for prompt in prompts]
    tasks += [{"prompt": list(option.prompt), "option": list(option.tokens)} for option in options]
    # No text has more tokens than bytes.
    sizes = [len(prompt.encode() if isinstance(prompt, str) else prompt) + length for prompt in prompts]
    sizes += [len(option.prompt) + len(option.tokens) for option in options]
    settings = {
        "model": str(model),
        "adapters": [str(adapter) for adapter in adapters],
        "context": max(sizes, default=0) + _SPARE_TOKENS,
        "threads": threads,
    }
    answers = _run({"settings": settings, "tasks": tasks}, [model, *adapters])
    return Answers(answers[: len(prompts)], answers[len(prompts) :])


def _run(request: dict[str, Any], files: Sequence[Path]) -> list[Any]:
    names = " with ".join(file.name for file in files)
    try:
        child = subprocess.run(
            # -P: this folder does not go on the child's path.
            [sys.executable, "-P", str(_CHILD)],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EngineError(
            f"{engine_name()} was not done with {names} after {SECONDS:.0f} seconds."
        ) from error
    try:
        told = json.loads(child.stdout)
    except ValueError:
        told = {"error": f"it ended with code {child.returncode}"}
    if "error" in told:
        reason = _first_complaint(child.stderr) or told["error"]
        raise EngineError(
            f"{engine_name()} failed on {names}: {reason}",
            hint="Is it a model file that this version of llama.cpp knows? Try it with llama-cli.",
        )
    answers: list[Any] = told["answers"]
    return answers


def _first_complaint(log: str) -> str:
    """The first line of llama.cpp's log that is an error, without its time stamp."""
    for line in log.splitlines():
        _, mark, text = line.partition(" E ")
        if mark:
            return " ".join(text.split())[:300]
    return ""
