"""``loretta merge --dtype`` and ``--verify``, and what is said of both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from loretta_cli.artifacts.merging import verifying
from loretta_cli.artifacts.merging.choices import CHECKS, DTYPES
from loretta_cli.artifacts.run_folder import RunFolder
from tests.artifacts.merging.untrained_runs import make_run, save_base, tensors_of
from tests.cli.refusal import assert_refused
from tests.command_line import files_below, loretta
from tests.tiny_models import model_class


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """On a language model in several files."""
    folder = tmp_path_factory.mktemp("merging")
    return make_run(folder / "run", save_base(folder / "base", "llama", shard_size="100KB"), scale=0.1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("check", CHECKS)
def test_every_number_type_is_written_and_verified_in_both_ways(
    run: RunFolder, tmp_path: Path, dtype: str, check: str
) -> None:
    outcome = loretta(
        "merge", run.path, "--output", tmp_path / "out", "--dtype", dtype, "--verify", check, "--json"
    )

    assert outcome.exit_code == 0, outcome.stderr
    document = outcome.document
    kind = getattr(torch, dtype)
    assert (document["dtype"], document["verification"], document["streamed"]) == (dtype, check, True)
    assert document["verified"] is True
    assert {tensor.dtype for tensor in tensors_of(tmp_path / "out").values()} == {kind}
    assert (document["max_abs_logit_difference"] is None) == (check == "layers")
    assert (document["max_abs_layer_difference"] is None) == (check == "logits")
    assert (document["rows"], document["layers"]) == ((10, None) if check == "logits" else (None, 4))
    assert (document["lost_share"] is None) == (dtype == "float32")
    if dtype != "float32":
        lost = document["lost_share"]
        assert 0 < lost["mean"] <= lost["worst"] < 0.5
        assert lost["worst_layer"].endswith(("q_proj", "v_proj"))
    model = model_class("llama").from_pretrained(tmp_path / "out")
    assert model.dtype == kind
    assert len(list((tmp_path / "out").glob("*.safetensors"))) >= 3


def test_what_the_cast_loses_is_printed_and_in_the_card(run: RunFolder, tmp_path: Path) -> None:
    outcome = loretta("merge", run.path, "--output", tmp_path / "out", "--dtype", "bfloat16")

    assert "share of the update lost by the cast" in outcome.stdout
    card = " ".join((tmp_path / "out" / "README.md").read_text(encoding="utf-8").split())
    assert "The weights are bfloat16." in card
    assert "The cast to bfloat16 loses a share of the updates' norms" in card
    full = loretta("merge", run.path, "--output", tmp_path / "full")
    assert "lost by the cast" not in full.stdout


def test_a_check_of_layers_is_told_as_one(run: RunFolder, tmp_path: Path) -> None:
    outcome = loretta("merge", run.path, "--output", tmp_path / "out", "--verify", "layers")

    assert "largest layer difference" in outcome.stdout
    assert "layers compared" in outcome.stdout
    assert "logit" not in outcome.stdout
    assert "4 merged layers" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_a_model_that_does_not_fit_in_memory_is_verified_by_layers(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loretta_cli.planning import plan

    def too_large(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(verifying, "available_bytes", lambda: 1000)
    monkeypatch.setattr(plan, "load_model", too_large)

    outcome = loretta("merge", run.path, "--output", tmp_path / "out", "--json")

    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.document["verification"] == "layers"


UNKNOWN = {
    "a short name": (("--dtype", "bf16"), "--dtype is 'bf16'", "Did you mean 'bfloat16'?"),
    "a misspelling": (
        ("--dtype", "flaot16"),
        "expected float32, bfloat16 or float16",
        "Did you mean 'float16'?",
    ),
    "a quantisation": (("--dtype", "nf4"), "--dtype is 'nf4'", "Known values: bfloat16, float16, float32."),
    "another check": (("--verify", "layer"), "--verify is 'layer'", "Did you mean 'layers'?"),
    "no check": (("--verify", "none"), "expected logits or layers", "Known values: layers, logits."),
}


@pytest.mark.parametrize(("flags", "says", "hint"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_value_is_refused_with_the_nearest(
    run: RunFolder, tmp_path: Path, flags: tuple[str, str], says: str, hint: str
) -> None:
    outcome = loretta("merge", run.path, "--output", tmp_path / "out", *flags)

    assert_refused(outcome)
    assert outcome.exit_code == 2
    said = " ".join(outcome.stderr.split())
    assert says in said
    assert hint in said
    assert not files_below(tmp_path)


def test_layers_are_refused_for_what_merges_in_memory(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", save_base(tmp_path / "base", "bert"), method="full", scale=0.01)

    outcome = loretta("merge", run.path, "--output", tmp_path / "out", "--verify", "layers", "--json")

    assert outcome.exit_code == 2
    error = outcome.document["error"]
    assert "because the method full changes more than single matrices" in error["message"]
    assert error["hint"] == "Leave --verify out."
    assert not (tmp_path / "out").exists()


def test_help_names_every_value() -> None:
    said = " ".join(loretta("merge", "--help").stdout.split())

    assert all(name in said for name in (*DTYPES, *CHECKS))


def test_the_config_says_the_number_type_that_was_written(run: RunFolder, tmp_path: Path) -> None:
    loretta("merge", run.path, "--output", tmp_path / "out", "--dtype", "float16")

    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert config["dtype"] == "float16"
