"""When the base is divided, what stays whole, and which blocks it is divided by."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from torch import nn

from loretta_cli.config import Config
from loretta_cli.errors import ConfigError, RunError
from loretta_cli.training.parallel import (
    LAUNCHER_ASKS,
    _blocks,
    _kept_whole,
    asked_to_shard,
    check_same_engine,
)
from tests.command_line import REPOSITORY

LAUNCHER_CONFIGS = REPOSITORY / "recipes" / "accelerate"


def _config(**settings: object) -> Config:
    return Config.model_validate({"training": {"shard_base": True}, **settings})


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """This process as the first of two."""
    for name in (LAUNCHER_ASKS, "FSDP_VERSION", "FSDP_OFFLOAD_PARAMS", "FSDP_CPU_RAM_EFFICIENT_LOADING"):
        monkeypatch.setenv(name, "")
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "0"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", "1")
    return monkeypatch


def test_the_setting_divides_the_base_of_several_processes(two: pytest.MonkeyPatch) -> None:
    assert asked_to_shard(_config())
    assert not asked_to_shard(Config())


def test_one_process_divides_nothing() -> None:
    assert not asked_to_shard(_config())


def test_the_launcher_divides_it_too_and_keeps_its_own_way_to_itself(two: pytest.MonkeyPatch) -> None:
    two.setenv(LAUNCHER_ASKS, "true")
    two.setenv("FSDP_VERSION", "2")

    assert asked_to_shard(Config())

    import os

    assert os.environ[LAUNCHER_ASKS] == os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] == "false"


@pytest.mark.parametrize(
    ("name", "value", "said"), [("FSDP_VERSION", "1", "version 1"), ("FSDP_OFFLOAD_PARAMS", "true", "in RAM")]
)
def test_a_launcher_that_asks_for_more_is_refused(
    name: str, value: str, said: str, two: pytest.MonkeyPatch
) -> None:
    two.setenv(LAUNCHER_ASKS, "true")
    two.setenv("FSDP_VERSION", "2")
    two.setenv(name, value)

    with pytest.raises(ConfigError, match=said) as caught:
        asked_to_shard(Config())

    assert "accelerate configuration" in caught.value.hint


def test_a_quantised_base_is_not_divided(two: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="A base in nf4 cannot be divided"):
        asked_to_shard(_config(model={"quantization": "nf4"}))


@pytest.mark.parametrize("init", [True, "noise-reduction"])
def test_what_the_adapter_saves_stays_whole(init: bool | str) -> None:
    from peft import get_peft_model

    from loretta_cli.tuners import LorettaRepConfig
    from tests.tiny_models import tiny_model

    config = LorettaRepConfig(task_type="SEQ_CLS", train_norms=True, init_weights=init)
    model = get_peft_model(tiny_model("bert"), config)

    whole = _kept_whole(model)

    names = {name for name, parameter in model.named_parameters() if any(parameter is one for one in whole)}
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained <= names
    assert all("loretta_rep" in name or "modules_to_save" in name for name in names)
    assert any("start" in name for name in names - trained) == (init == "noise-reduction")


def test_blocks_are_those_that_transformers_names() -> None:
    from peft import LoraConfig, get_peft_model

    from tests.tiny_models import tiny_model

    model = get_peft_model(tiny_model("bert"), LoraConfig(task_type="SEQ_CLS"))
    blocks = _blocks(model)
    assert {type(block).__name__ for block in blocks} == {"BertLayer", "BertEmbeddings"}
    assert len(blocks) == 1 + model.config.num_hidden_layers

    model.get_base_model()._no_split_modules = None
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    assert _blocks(model) == [block for one in lists for block in one]


@pytest.mark.parametrize("file", sorted(LAUNCHER_CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_accelerate_reads_the_launchers_configurations(file: Path) -> None:
    from accelerate.commands.config.config_args import ClusterConfig

    config = ClusterConfig.from_yaml_file(yaml_file=str(file))

    assert config.num_processes == 2
    assert yaml.safe_load(file.read_text(encoding="utf-8"))["mixed_precision"] == "no"


@pytest.mark.parametrize("by_deepspeed", [True, False])
def test_a_checkpoint_is_taken_up_by_the_engine_that_wrote_it(by_deepspeed: bool, tmp_path: Path) -> None:
    (tmp_path / "rng_state_0.pth").touch()
    if not by_deepspeed:
        (tmp_path / "optimizer.pt").touch()

    check_same_engine(tmp_path, deepspeed=by_deepspeed)
    with pytest.raises(RunError, match=f"was written {'with' if by_deepspeed else 'without'} DeepSpeed"):
        check_same_engine(tmp_path, deepspeed=not by_deepspeed)


def test_deepspeed_resumes_with_as_many_processes_only(tmp_path: Path) -> None:
    for rank in range(2):
        (tmp_path / f"rng_state_{rank}.pth").touch()

    with pytest.raises(RunError, match="with 2 processes; found 1"):
        check_same_engine(tmp_path, deepspeed=True)
