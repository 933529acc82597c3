"""The pages in ``docs/``: their commands are run, their Python is compiled, their links lead somewhere.

A page's commands run in order, in a folder that has what a reader would have: data, models, finished runs.
Models of the hub are small random ones of the same kind here, and trainings take two steps.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import REPOSITORY, loretta, parsed, python, sentence, write_labelled
from tests.rendering import curves_rendered_once
from tests.tiny_folders import decoder_tokenizer, save_tiny_decoder, save_tiny_encoder

HAS_GGUF = importlib.util.find_spec("gguf") is not None
HAS_TENSORBOARD = importlib.util.find_spec("tensorboard") is not None
PAGES = sorted((REPOSITORY / "docs").glob("*.md"))
TWO_STEPS = ("--set", "training.max_steps=2", "--set", "training.batch_size=4")
STAND_INS = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": "models/decoder",
    "HuggingFaceTB/SmolLM2-135M": "models/decoder",
    "bundled:minilm": "models/encoder",
    "DATA": "data",
    "0,1,2": "0",
    "adp,rep,lora,ia3,bitfit,adapters,head": "adp,lora",
    "sst2,mrpc,stsb,trec,ag_news": "mrpc,stsb",
}
"""What stands in the docs, and what is taken instead."""
RECIPES_OF_DECODERS = ("zo/quickstart",)
COLUMNS = {
    "sst2": ("sentence", "label"),
    "trec": ("text", "coarse_label"),
    "ag_news": ("text", "label"),
    "mrpc": ("sentence1", "sentence2", "label"),
    "qnli": ("question", "sentence", "label"),
    "stsb": ("sentence1", "sentence2", "label"),
}
OWN_ADAPTERS = {
    "my-run": ("rep", "decoder"),
    "my-adp-run": ("adp", "encoder"),
    "my-lora-run": ("lora", "encoder"),
}


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def commands(page: Path) -> list[str]:
    """The shell lines of a page; those that go on with a backslash are one."""
    text = "".join(blocks(page, "sh")).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip()]


def write_task(folder: Path, task: str) -> None:
    """Write train and validation rows of a task in its own columns."""
    folder.mkdir(parents=True)
    *texts, label = COLUMNS[task]
    for split, numbers in (("train", range(24)), ("validation", range(24, 32))):
        rows = [
            {**dict.fromkeys(texts, sentence(number)[0]), label: sentence(number)[1]} for number in numbers
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")


@pytest.fixture(scope="module", autouse=True)
def _curves_are_rendered_once() -> Iterator[None]:
    with curves_rendered_once():
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has before the first command: data, models, and a finished run of each kind."""
    home = tmp_path_factory.mktemp("reader")
    save_tiny_encoder(home / "models" / "encoder")
    save_tiny_decoder(home / "models" / "decoder")
    shutil.copytree(home / "models" / "encoder", home / "my-model")
    for task in COLUMNS:
        write_task(home / "data" / task, task)
    messages = write_labelled(home / "messages.csv").read_text(encoding="utf-8")
    (home / "reviews.csv").write_text(messages.replace("message,mood", "text,label", 1), encoding="utf-8")
    for name, (method, model) in OWN_ADAPTERS.items():
        where = ("--model", home / "models" / model, "--task", "sst2", "--data", "data/sst2")
        done = loretta("train", *where, "--method", method, "--output", f"runs/{name}", *TWO_STEPS, cwd=home)
        assert done.exit_code == 0, done.stderr
    if HAS_GGUF:
        write_base_gguf(home / "models" / "decoder", home / "base-f32.gguf")
        shutil.copy2(home / "base-f32.gguf", home / "base.gguf")
    return home


def write_base_gguf(model: Path, file: Path) -> None:
    """Write a model as llama.cpp has it."""
    from transformers import AutoModelForCausalLM

    from tests.gguf_models import write_gguf

    write_gguf(AutoModelForCausalLM.from_pretrained(model), decoder_tokenizer(), file)


def as_run_here(line: str) -> list[str]:
    """The words behind ``loretta``: what stands in, and what makes a training short."""
    words = [STAND_INS.get(word, word) for word in shlex.split(line)]
    verb, *rest = words[1:]
    if verb == "count-params":
        return shlex.split(line)[1:]
    if verb not in ("train", "compare") or "--resume" in rest:
        return [verb, *rest]
    recipe = "" if rest[0].startswith("-") else rest[0]
    if recipe and "--model" not in rest and not recipe.startswith("runs/"):
        rest += ["--model", "models/decoder" if recipe in RECIPES_OF_DECODERS else "models/encoder"]
    if "--data" not in rest and recipe != "quickstart" and not recipe.startswith("runs/"):
        rest += ["--data", "data" if verb == "compare" else "data/sst2"]
    return [verb, *rest, *TWO_STEPS]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_runs(page: Path, home: Path, tmp_path: Path) -> None:
    if "gguf" in "".join(commands(page)) and not HAS_GGUF:
        pytest.skip("the extra export is not installed")
    if "--tracker" in "".join(commands(page)) and not HAS_TENSORBOARD:
        pytest.skip("tensorboard is not installed")
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]

    for line in commands(page):
        if line.startswith("pip install"):
            assert set(re.findall(r"loretta-cli\[(\w+)\]", line)) <= set(extras), line
        elif line.startswith("touch "):
            (tmp_path / shlex.split(line)[1]).touch()
        elif "-m loretta_cli " in line:
            assert_launched(line)
        elif line.startswith("python -m "):
            assert_its_flags_exist(line)
        else:
            done = loretta(*as_run_here(line), cwd=tmp_path)
            assert done.exit_code == 0, f"{line}\n{done.stderr}"


def assert_launched(line: str) -> None:
    """A launcher's line: what it starts is understood, and its configuration is there.

    ``tests/training/test_distributed.py`` launches processes; two machines are not at hand.
    """
    parsed("loretta " + line.rpartition("-m loretta_cli ")[2])
    assert all((REPOSITORY / name).is_file() for name in re.findall(r"--config_file (\S+)", line)), line


def assert_its_flags_exist(line: str) -> None:
    """A benchmark, which takes minutes, or PEFT's suite: its flags are those that it has."""
    module, *words = shlex.split(line)[2:]
    assert all(word in help_of(module) for word in words if word.startswith("--")), line


@functools.cache
def help_of(module: str) -> str:
    asked = [sys.executable, "-m", module, "--help"]
    return subprocess.run(asked, capture_output=True, text=True, cwd=REPOSITORY, check=True).stdout


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem
)
def test_every_block_of_python_of_a_page_compiles(page: Path) -> None:
    for block in blocks(page, "python"):
        compile(block, page.name, "exec")


@pytest.mark.parametrize("block", blocks(REPOSITORY / "docs" / "extending.md", "python"))
def test_the_code_of_the_page_on_extending_runs(block: str, tmp_path: Path) -> None:
    python(block, cwd=tmp_path)


@pytest.mark.parametrize("page", [REPOSITORY / "README.md", *PAGES], ids=lambda page: page.stem)
def test_every_link_leads_to_a_file_and_a_headline(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        heads = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
        anchors = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
        assert not anchor or anchor in anchors, target


def test_every_format_of_export_has_its_section_on_serving() -> None:
    from loretta_cli.artifacts.export import FORMATS

    page = (REPOSITORY / "docs" / "serving.md").read_text(encoding="utf-8")
    shown = {
        line.split("--format ")[1].split()[0]
        for line in page.splitlines()
        if line.startswith("loretta export")
    }
    listed = set(re.findall(r"\| \[`--format ([\w-]+)`\]", page))

    assert shown == listed == set(FORMATS)


def test_the_code_for_a_lora_answers_with_peft_alone(home: Path, tmp_path: Path) -> None:
    page = REPOSITORY / "docs" / "serving.md"
    code = next(block for block in blocks(page, "python") if "PeftModel" in block)
    encoder = home / "models" / "encoder"
    rows = ("--model", encoder, "--task", "sst2", "--data", home / "data" / "sst2")
    train = loretta("train", *rows, "--method", "rep", "--output", tmp_path / "run", *TWO_STEPS)
    export = loretta("export", tmp_path / "run", "--format", "lora", "--output", tmp_path / "lora")
    assert (train.exit_code, export.exit_code) == (0, 0)
    (tmp_path / "lora" / "base-model").symlink_to(encoder)

    told = python(code, cwd=tmp_path / "lora", blocked=("loretta_cli",))

    texts = ("--text", "a text", "--text", "another one", "--json")
    answers = [json.loads(line) for line in loretta("predict", tmp_path / "run", *texts).stdout.splitlines()]
    assert [line.split()[0] for line in told.splitlines()] == [answer["prediction"] for answer in answers]


def test_a_command_that_fails_would_be_noticed(home: Path) -> None:
    assert loretta(*as_run_here("loretta train quickstart --metod rep"), cwd=home).exit_code == 2
