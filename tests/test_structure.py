"""The shape of the code: which room may import which, what must stay light, docstrings, file sizes."""

from __future__ import annotations

import ast
import graphlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import loretta_cli
from tests.command_line import REPOSITORY, loretta, python

PACKAGE = REPOSITORY / "loretta_cli"
LONGEST_FILE = 400

ALLOWED: dict[str, set[str]] = {
    "credentials": set(),
    "errors": set(),
    "numerals": set(),
    "registry": {"errors"},
    "refused_memory": {"numerals"},
    "replacing": set(),
    "processes": {"errors"},
    "report": {"credentials", "errors", "numerals", "replacing"},
    "methods": {"errors", "registry"},
    "presets": {"errors", "models", "registry"},
    "baseline_defaults": {"models"},
    "tt": {"errors"},
    "config": {"credentials", "errors", "registry", "replacing"},
    "models": {"errors", "numerals", "processes", "refused_memory", "registry"},
    "tasks": {"config", "errors", "models", "numerals", "registry"},
    "tuners": {"baseline_defaults", "config", "errors", "methods", "models", "numerals", "presets", "tt"},
    "measure": {
        *("baseline_defaults", "config", "credentials", "errors", "models", "presets", "processes", "tt"),
        "tuners",
    },
    "planning": {"config", "errors", "measure", "methods", "models", "numerals", "tasks", "tuners"},
    "artifacts": {
        *("config", "errors", "methods", "models", "numerals", "package", "planning", "registry"),
        *("replacing", "report", "tasks", "tt", "tuners"),
    },
    "evaluation": {"artifacts", "config", "errors", "models", "planning", "processes", "tasks"},
    "training": {
        *("artifacts", "config", "errors", "evaluation", "measure", "methods", "numerals", "planning"),
        *(
            "presets",
            "processes",
            "refused_memory",
            "registry",
            "replacing",
            "report",
            "tasks",
            "tt",
            "tuners",
        ),
    },
    "grid": {
        *("artifacts", "config", "errors", "evaluation", "measure", "methods", "models", "numerals"),
        *("planning", "registry", "report", "tasks", "training"),
    },
    "cli": {
        *("artifacts", "config", "errors", "evaluation", "grid", "measure", "methods", "models", "numerals"),
        *("package", "planning", "processes", "refused_memory", "report", "tasks", "training"),
    },
    "__main__": {"cli"},
}
"""Room to the rooms it may import, those for type checkers included. Arrows go down only.

``package`` is the version in ``loretta_cli/__init__.py``.
"""

HEAVY = ("torch", "transformers", "datasets", "peft")
LIGHT_ROOMS = (
    "errors",
    "registry",
    "processes",
    "refused_memory",
    "report",
    "config",
    "methods",
    "tasks",
    "cli",
)
"""Rooms without a heavy import at the top of a file."""
LIGHT_EXCEPT = ("tasks/encoding.py", "tasks/scoring.py", "tasks/forms/")


def _files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _room(module: str) -> str:
    parts = module.split(".")[1:]
    return parts[0] if parts else "package"


def _module(file: Path) -> str:
    parts = file.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.AST) -> Iterator[str]:
    """Full names of what a file imports from this package, wherever in the file that stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _arrows() -> dict[str, dict[str, str]]:
    """Room to the rooms it imports, each with a file that does so."""
    arrows: dict[str, dict[str, str]] = {}
    modules = {_module(file) for file in _files()}
    for file in _files():
        room = _room(_module(file))
        for name in _imports(ast.parse(file.read_text(encoding="utf-8"))):
            if name.partition(".")[0] != "loretta_cli":
                continue
            target = name
            while target not in modules:
                target = target.rpartition(".")[0]
            if _room(target) != room:
                arrows.setdefault(room, {})[_room(target)] = str(file.relative_to(REPOSITORY))
    return arrows


def test_every_import_between_rooms_is_an_allowed_one() -> None:
    arrows = _arrows()
    # The package's lazy names are its public face; whoever imports the package imports none of them.
    assert set(arrows.pop("package")) == {"tuners"}
    wrong = [
        f"{room} must not import {target} ({file})"
        for room, targets in arrows.items()
        for target, file in targets.items()
        if target not in ALLOWED.get(room, set())
    ]

    assert not wrong


def test_the_allowed_imports_have_no_cycle() -> None:
    order = list(graphlib.TopologicalSorter(ALLOWED).static_order())

    assert order.index("errors") < order.index("config") < order.index("planning") < order.index("cli")


def test_every_room_stands_in_the_table() -> None:
    rooms = {_room(_module(file)) for file in _files()} - {"package"}

    assert rooms == set(ALLOWED)


def test_a_forbidden_import_would_be_noticed() -> None:
    tree = ast.parse(
        "def late():\n    from loretta_cli.cli import app\n    import loretta_cli.training.run\n"
    )

    assert list(_imports(tree)) == ["loretta_cli.cli.app", "loretta_cli.training.run"]
    assert _room("loretta_cli.cli.app") == "cli"


@pytest.mark.parametrize("room", LIGHT_ROOMS)
def test_a_light_room_imports_nothing_heavy_at_the_top(room: str) -> None:
    files = [file for file in _files() if _room(_module(file)) == room]
    assert files
    for file in files:
        if str(file.relative_to(PACKAGE)).startswith(LIGHT_EXCEPT):
            continue
        top = ast.parse(file.read_text(encoding="utf-8")).body
        plain = [node for node in top if isinstance(node, (ast.Import, ast.ImportFrom))]
        names = {name.partition(".")[0] for node in plain for name in _imports(node)}
        assert not names.intersection(HEAVY), file


def test_the_maths_knows_no_model() -> None:
    for file in (PACKAGE / "tt").rglob("*.py"):
        names = {name.partition(".")[0] for name in _imports(ast.parse(file.read_text(encoding="utf-8")))}
        assert not names.intersection({"transformers", "peft", "datasets"}), file


LIGHT_COMMANDS = (
    ("--help",),
    ("--version",),
    (),
    *((verb, "--help") for verb in ("train", "eval", "count-params", "merge", "export", "replay", "push")),
    ("no-such-command",),
    ("train",),
    ("train", "--no-such-flag"),
    ("train", "quikstart"),
    ("train", "quickstart", "--task", "sst3"),
    ("train", "quickstart", "--method", "repp"),
    ("train", "quickstart", "--gradient", "zoo"),
    ("train", "quickstart", "--set", "training.lr=1"),
    ("train", "quickstart", "--set", "model.quantization=nf5"),
    ("train", "quickstart", "--output", "full"),
    ("train", "quickstart", "--output", "file"),
    ("train", "broken.yaml"),
    ("train", "--output", "full", "--resume"),
    ("train", "--output", "run", "--resume", "--seed", "5"),
    ("train", "--output", "baseless", "--resume"),
    ("replay",),
    ("replay", "no-such-run"),
    ("eval",),
    ("eval", "no-such-run"),
    ("eval", "--model", "x", "--task", "sst3"),
    ("merge", "no-such-run"),
    ("export", "no-such-run", "--format", "lora"),
    ("export", "run", "--format", "lroa"),
    ("push", "no-such-run", "org/name"),
    ("push", "run", "no-slash"),
    ("train", "--model", "gone/x/y", "--task", "sst2"),
    ("train", "--model", "x", "--task", "sst2", "--data", "gone.csv"),
    ("train", "--model", "x", "--task", "sst2", "--data", "file.xlsx", "--dry-run"),
    ("eval", "--model", "x", "--task", "sst2", "--data", "gone.csv"),
    ("eval", "trained", "--data", "gone.csv"),
    ("predict", "baseless", "a text"),
    ("export", "trained"),
    ("export", "trained", "--format", "tt", "--output", "full"),
    ("export", "trained", "--format", "tt", "--data", "gone.csv"),
    ("export", "baseless", "--format", "tt"),
    ("merge", "trained", "--output", "full"),
    ("merge", "baseless"),
    ("merge", "unmergeable"),
    ("count-params",),
    ("count-params", "--model", "x", "--method", "repp"),
    ("count-params", "--model", "x", "--set", "adapter.tt_rank=big"),
    ("runs", "--help"),
    ("runs", "no-such-folder"),
    ("runs", "--sort", "sise"),
    ("runs", "--method", "repp"),
    ("show",),
    ("show", "no-such-run"),
    ("predict", "--help"),
    ("predict",),
    ("predict", "no-such-run", "a text"),
    ("predict", "run", "a text"),
    ("env", "--help"),
    ("compare", "--help"),
    ("compare",),
    ("compare", "quikstart", "--output", "x"),
    ("compare", "quickstart", "--method", "repp,lora", "--task", "sst3", "--output", "x"),
    ("compare", "quickstart", "--output", "file"),
    ("compare", "quickstart", "--output", "full"),
    ("recipes", "--help"),
    ("recipes", "list", "quickstrat"),
    ("recipes", "show", "quickstrat"),
    ("recipes", "copy", "quickstart", "file"),
)

RUN_THEM = f"""
import contextlib, io, json, sys
from loretta_cli.cli.app import main
told = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["loretta", *arguments]
    code = 0
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    heavy = [name for name in {HEAVY} if name in sys.modules]
    told.append([arguments, code, heavy])
    if heavy:
        break
print(json.dumps(told))
"""


def test_help_version_and_wrong_settings_import_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x", encoding="utf-8")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("training: {sed: 1}\n", encoding="utf-8")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("training: {seed: 1}\n", encoding="utf-8")
    (tmp_path / "file.xlsx").write_text("x", encoding="utf-8")
    for name, model, method in (
        ("trained", "x", "rep"),
        ("baseless", "/gone/x", "rep"),
        ("unmergeable", "x", "adp"),
    ):
        adapter = tmp_path / name / "adapter"
        adapter.mkdir(parents=True)
        (adapter / "adapter_config.json").write_text("{}", encoding="utf-8")
        settings = f"model: {{name: {model}}}\nadapter: {{method: {method}}}\ntask: {{name: sst2}}\n"
        (adapter.parent / "config.yaml").write_text(settings, encoding="utf-8")

    told = json.loads(python(RUN_THEM, json.dumps(LIGHT_COMMANDS), cwd=tmp_path))

    for arguments, code, heavy in told:
        expected = 0 if not arguments or arguments[-1] in ("--help", "--version") else 2
        assert (code, heavy) == (expected, []), arguments
    assert len(told) == len(LIGHT_COMMANDS)


def test_the_package_itself_imports_nothing_heavy() -> None:
    heavy = json.loads(
        python(
            "import json, sys, loretta_cli, loretta_cli.cli.app, loretta_cli.config, loretta_cli.tasks\n"
            "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
        )
    )

    assert not set(heavy).intersection({*HEAVY, "matplotlib", "sklearn", "scipy", "tensorly", "pandas"})


def test_touching_a_lazy_name_registers_the_adapter_types() -> None:
    told = python(
        "import loretta_cli\nconfig = loretta_cli.LorettaRepConfig()\n"
        "from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING as known\n"
        "print(known[config.peft_type].__name__)"
    )

    assert told.strip() == "LorettaRepModel"


def _undocumented(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    if ast.get_docstring(tree) is None:
        yield f"{file}: the module"
    yield from _undocumented_below(tree, str(file.relative_to(REPOSITORY)))


def _undocumented_below(owner: ast.AST, name: str) -> Iterator[str]:
    for node in ast.iter_child_nodes(owner):
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if node.name.startswith("_") and node.name != "__call__":
            continue
        if ast.get_docstring(node) is None:
            yield f"{name}: {node.name}"
        if isinstance(node, ast.ClassDef):
            yield from _undocumented_below(node, f"{name}: {node.name}")


def test_every_public_module_class_and_function_has_a_docstring() -> None:
    missing = [entry for file in _files() for entry in _undocumented(file)]

    assert not missing


@pytest.mark.parametrize("folder", ["loretta_cli", "tests", "benchmarks"])
def test_no_file_is_long(folder: str) -> None:
    files = sorted((REPOSITORY / folder).rglob("*.py"))
    assert files
    long = {
        str(file.relative_to(REPOSITORY)): lines
        for file in files
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    }

    assert not long


def test_the_changelog_has_the_version() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = [name for name in re.findall(r"^## \[([^\]]+)\]", text, re.MULTILINE) if name != "Unreleased"]

    assert versions[0] == loretta_cli.__version__
    assert loretta("--version").stdout.split() == ["loretta", versions[0]]
