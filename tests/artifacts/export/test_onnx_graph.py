"""torch's exporter on every family, for any batch and length, without a word and without a path."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx", reason="the extra export is not installed")
pytest.importorskip("onnxscript", reason="the extra export is not installed")

import onnx
import torch
from peft import PeftModel, get_peft_model
from torch import nn

from loretta_cli.artifacts.engines import onnx_runtime
from loretta_cli.artifacts.export import onnx_graph
from loretta_cli.artifacts.export.onnx import serving_form
from loretta_cli.artifacts.export.onnx_check import (
    OnnxAgreement,
    agreement,
    batches,
    input_names,
    reference,
)
from loretta_cli.artifacts.export.onnx_graph import MODEL, check_packages, write_graph
from loretta_cli.errors import ConfigError, ExportError
from loretta_cli.tuners import LorettaAdpConfig, LorettaRepConfig
from tests.command_line import REPOSITORY
from tests.tiny_models import FAMILIES, OTHERS, TASK_TYPES, UNKNOWN, tiny_model

NAMES = ["input_ids", "attention_mask"]
OF_ONE_GRAPH = [
    family for family in (*FAMILIES, *OTHERS) if TASK_TYPES[family] and not family.startswith("t5")
]
FAST = ("roberta", "llama")
UNLIKE = ("deberta", "falcon", "gemma3", "gptj", "modernbert", "opt")
"""Families of which CI takes a graph too: no two of them have one kind of attention or positions."""
FOLDED = (*FAST, "gpt2", "falcon")
"""Families whose graph is looked at with rep too: folded, it is that of the base model."""

needs_onnxruntime = pytest.mark.skipif(
    not onnx_runtime.is_installed(), reason="the extra export is not installed"
)


def adapted(family: str, method: str, **settings: Any) -> PeftModel:
    """A tiny model with a random adapter that changes much."""
    kind: Any = {"adp": LorettaAdpConfig, "rep": LorettaRepConfig}[method]
    config = kind(
        **{
            **{"task_type": TASK_TYPES[family], "init_weights": False, "alpha": 20.0, "tt_rank": 3},
            **settings,
        }
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return get_peft_model(tiny_model(family), config).eval()


def rows() -> list[dict[str, Any]]:
    """16 texts of 1 to 21 tokens."""
    generator = torch.Generator().manual_seed(1)
    lengths = [1, 2, 9, 4, 3, 12, 7, 1, 5, 21, 6, 8, 15, 2, 11, 10]
    return [
        {"input_ids": torch.randint(3, 99, (length,), generator=generator).tolist()} for length in lengths
    ]


def pad_token(model: Any) -> int:
    return int(model.config.pad_token_id or 0)


def exported(model: PeftModel, method: str, folder: Path) -> OnnxAgreement:
    found = reference(model, batches(rows(), pad_token(model)))
    write_graph(serving_form(model, method), NAMES, folder)
    return agreement(found, folder / MODEL)


def assert_same(agreed: OnnxAgreement) -> None:
    assert agreed.comparison.max_abs_difference < 5e-5
    assert agreed.comparison.rows == 16
    assert agreed.same == agreed.predictions >= 16


def marked(family: str, method: str) -> Any:
    if method == "adp" and family in FAST:
        return pytest.param(family, method)
    in_ci = family in UNLIKE if method == "adp" else family == "gpt2"
    return pytest.param(family, method, marks=pytest.mark.slow if in_ci else pytest.mark.exhaustive)


@needs_onnxruntime
@pytest.mark.parametrize(
    ("family", "method"),
    [
        *(marked(family, "adp") for family in OF_ONE_GRAPH),
        *(marked(family, "rep") for family in OF_ONE_GRAPH if family in FOLDED),
    ],
)
def test_a_family_computes_the_same_in_batches_of_any_size_and_length(
    family: str, method: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    preset = {"preset": "paper"} if family == "roberta" else {}
    model = adapted(family, method, **preset)
    model.config.pad_token_id = pad_token(model)

    assert_same(exported(model, method, tmp_path))

    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    assert [file.name for file in tmp_path.iterdir()] == [MODEL]
    graph = onnx.load(tmp_path / MODEL).graph
    assert [one.name for one in graph.input] == NAMES
    for one in graph.input:
        assert [axis.dim_param for axis in one.type.tensor_type.shape.dim] == ["batch", "length"]
    bytes_ = (tmp_path / MODEL).read_bytes()
    for path in (str(REPOSITORY), str(Path(torch.__file__).parent), "site-packages", ".py"):
        assert path.encode() not in bytes_


@needs_onnxruntime
@pytest.mark.slow
def test_a_family_that_the_project_does_not_know_exports_too(tmp_path: Path) -> None:
    model = adapted(UNKNOWN, "rep", target_modules="all-linear")

    assert_same(exported(model, "rep", tmp_path))


@needs_onnxruntime
@pytest.mark.slow
def test_segments_are_an_input_of_a_model_that_has_them(tmp_path: Path) -> None:
    model = adapted("bert", "rep")
    texts = rows()
    for row in texts:
        row["token_type_ids"] = [0] * (len(row["input_ids"]) // 2) + [1] * -(-len(row["input_ids"]) // 2)
    asked = batches(texts, pad_token(model))
    found = reference(model, asked)
    without = reference(model, [{name: batch[name] for name in NAMES} for batch in asked])

    write_graph(serving_form(model, "rep"), input_names(texts), tmp_path)

    assert_same(agreement(found, tmp_path / MODEL))
    assert (found.logits[0] - without.logits[0]).abs().max() > 1e-2, "segments matter"


class Scores(nn.Module):
    """A model so small that the exporter takes no time over it."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 400)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        class Output:
            logits = (self.embedding(input_ids) * attention_mask[..., None]).mean(dim=1)

        return Output


@needs_onnxruntime
def test_weights_too_large_for_one_file_lie_beside_it_wherever_the_folder_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_graph, "LARGEST_FILE", 9 * 400 * 4 - 1)
    (tmp_path / "made").mkdir()
    model = Scores().eval()

    written = write_graph(model, NAMES, tmp_path / "made")

    assert written.files == (MODEL, f"{MODEL}.data")
    assert (tmp_path / "made" / f"{MODEL}.data").stat().st_size >= 9 * 400 * 4
    moved = Path(shutil.move(tmp_path / "made", tmp_path / "moved"))
    few = [{"input_ids": [1, 2, 3]}, {"input_ids": [4]}, {"input_ids": [5, 6]}]
    assert agreement(reference(model, batches(few, 0)), moved / MODEL).comparison.passed


def test_a_model_that_cannot_be_translated_is_a_sentence(tmp_path: Path) -> None:
    class Picky(Scores):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            if int(input_ids.sum()) > 3:
                return super().forward(input_ids, attention_mask)
            return super().forward(input_ids, attention_mask * 2)

    with pytest.raises(ExportError, match="torch cannot export this Picky to ONNX") as raised:
        write_graph(Picky().eval(), NAMES, tmp_path)

    assert len(raised.value.message) < 400
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxscript" else found(name)
    )

    with pytest.raises(ConfigError, match="ONNX files need onnxscript, which is not installed") as raised:
        check_packages()

    assert raised.value.hint == "pip install 'loretta-cli[export]'"


def test_an_update_that_is_not_finite_is_not_folded() -> None:
    model = adapted("llama", "rep")
    for name, core in model.named_parameters():
        if "loretta_rep_B" in name:
            core.data *= torch.nan

    with pytest.raises(ExportError, match=r"The adapter cannot be folded: .*; nothing was written"):
        serving_form(model, "rep")
