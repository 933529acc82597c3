"""onnxruntime is asked for logits, and its refusals are sentences."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from loretta_cli.artifacts.engines import EngineError, onnx_runtime


def test_a_file_that_is_no_model_is_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra export is not installed")
    (tmp_path / "model.onnx").write_bytes(b"no model")

    with pytest.raises(EngineError, match=r"onnxruntime cannot run model\.onnx: .*Protobuf parsing failed"):
        list(onnx_runtime.logits(tmp_path / "model.onnx", [{"input_ids": torch.ones(1, 1).long()}]))


def test_the_name_has_the_version() -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra export is not installed")

    assert onnx_runtime.engine_name() == f"onnxruntime {onnxruntime.__version__}"


def test_where_it_is_not_installed_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_runtime, "is_installed", lambda: False)

    assert onnx_runtime.engine_name() == "onnxruntime"
    with pytest.raises(EngineError) as raised:
        list(onnx_runtime.logits(tmp_path / "model.onnx", []))
    assert raised.value.hint == "pip install onnxruntime"
