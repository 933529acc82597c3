"""A partial match of an adapter's targets is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loretta_cli.config import load_config
from loretta_cli.planning.checking import without_weights
from loretta_cli.planning.matched import matched_modules, missing_of
from loretta_cli.planning.plan import make_plan
from tests.command_line import write_sentences
from tests.tiny_folders import save_tiny_encoder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("matched")
    save_tiny_encoder(folder / "encoder")
    write_sentences(folder / "rows")
    return folder


def model(place: Path, *settings: str) -> Any:
    flags = {"model.name": str(place / "encoder"), "task.name": "sst2", "data.source": str(place / "rows")}
    return without_weights(make_plan(load_config(None, flags, settings).config)).model


def test_like_modules_are_one_line_with_their_shape(place: Path) -> None:
    found = {one.pattern: one for one in matched_modules(model(place, "adapter.method=lora"))}

    query = found["bert.encoder.layer.{0,1}.attention.self.query"]
    assert (query.adapted, query.of, query.shape, query.how) == (2, 2, "32x32", "adapter")
    assert found["classifier"].how == "trained whole"
    assert not missing_of(found.values())


def test_layers_without_an_adapter_are_missed(place: Path) -> None:
    found = matched_modules(model(place, "adapter.method=lora", "adapter.layers_to_transform=[1]"))

    assert missing_of(found) == {
        "bert.encoder.layer.1.attention.self.query": 1,
        "bert.encoder.layer.1.attention.self.value": 1,
    }
    assert found[0].as_json()["of"] == 2
