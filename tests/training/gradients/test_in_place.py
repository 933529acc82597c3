"""MeZO's training of every weight: a run, its replay, its resumption, and what it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from loretta_cli.artifacts.files import sha256
from loretta_cli.artifacts.run_folder import RunFolder
from loretta_cli.config import Config, load_config
from loretta_cli.errors import ConfigError
from loretta_cli.planning.plan import load_base, make_plan, put_adapter
from loretta_cli.report.silent import SilentReporter
from loretta_cli.training.gradients.in_place import lasting
from loretta_cli.training.gradients.trajectory import Record
from loretta_cli.training.replay import replay
from loretta_cli.training.run import train
from loretta_cli.tuners.refusals import UnsupportedFeatureError
from tests.command_line import write_sentences
from tests.tiny_folders import save_tiny_decoder, save_tiny_encoder

WEIGHTS = "adapter_model.safetensors"
Configure = Callable[..., Config]


@pytest.fixture(scope="module")
def configure(tmp_path_factory: pytest.TempPathFactory) -> Configure:
    place = tmp_path_factory.mktemp("in-place")
    save_tiny_encoder(place / "encoder")
    save_tiny_decoder(place / "decoder")
    write_sentences(place / "sentences", train=26, validation=10)

    def made(model: str, *settings: str, method: str = "full") -> Config:
        flags = {
            "model.name": str(place / model),
            "task.name": "sst2",
            "data.source": str(place / "sentences"),
            "adapter.method": method,
            "training.gradient": "zo",
        }
        steps = ("data.protocol=paper", "training.max_steps=6", "training.evaluate_every=2")
        return load_config(None, flags, [*steps, "training.batch_size=4", *settings]).config

    return made


def cut_off(run: RunFolder, *, after: int, checkpoint: int) -> None:
    """Leave of a run what a crash leaves: some records, and the checkpoints up to one."""
    lines = run.trajectory.read_bytes().split(b"\n")
    run.trajectory.write_bytes(b"\n".join(lines[: after + 1]) + b"\n" + lines[after + 1][:9])
    for folder in run.checkpoints.glob("checkpoint-*"):
        if int(folder.name.rpartition("-")[2]) > checkpoint:
            shutil.rmtree(folder)
    shutil.rmtree(run.adapter)
    run.report_file.unlink()


CASES = {
    "encoder, two sides, decay": ("encoder", "zo.epsilon=0.01", "training.weight_decay=0.1"),
    "bf16, three queries, accumulated": (
        *("decoder", "zo.epsilon=0.03", "zo.queries=3"),
        *("model.dtype=bfloat16", "training.gradient_accumulation=2"),
    ),
    "one side, calibrated": ("decoder", "zo.estimator=one-sided", "zo.directions=rademacher"),
    "rolled back": (
        *("encoder", "zo.epsilon=0.01", "training.learning_rate=10", "training.scheduler=constant"),
        *("training.max_steps=8",),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_is_replayed_and_resumed_with_the_same_bits(
    case: str, configure: Configure, tmp_path: Path
) -> None:
    config, run = configure(*CASES[case]), RunFolder(tmp_path / "run")
    train(config, run.path, SilentReporter())
    end = run.checkpoints / f"checkpoint-{config.training.max_steps}"
    records, expected, adapter = (
        run.trajectory.read_bytes(),
        sha256(end / WEIGHTS),
        sha256(run.adapter / WEIGHTS),
    )

    assert b'"backend": "in-place"' in records
    assert (b'"rollback"' in records) == (case == "rolled back")
    assert sha256(run.start / WEIGHTS) != expected
    assert replay(run, tmp_path / "replayed", to=config.training.max_steps).verified

    cut_off(run, after=5, checkpoint=4 if case == "rolled back" else 2)
    train(run.read_config(), run.path, SilentReporter(), resume=True)
    assert (sha256(end / WEIGHTS), sha256(run.adapter / WEIGHTS)) == (expected, adapter)
    assert run.trajectory.read_bytes() == records


def test_the_base_model_itself_trains_and_there_is_no_second_copy(configure: Configure) -> None:
    plan = make_plan(configure("decoder", "model.dtype=bfloat16"))
    base = load_base(plan)
    own = {id(parameter) for parameter in base.model.parameters()}
    model = put_adapter(plan, base).model

    assert {id(parameter) for parameter in model.parameters()} == own
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    with pytest.raises(UnsupportedFeatureError, match="trained in place"), model.disable_adapter():
        model(torch.tensor([[1, 2]]))
    with pytest.raises(UnsupportedFeatureError, match="trained in place"):
        model.add_adapter("second", model.peft_config["default"])


def test_the_adapter_folder_is_that_of_a_backpropagated_run(configure: Configure, tmp_path: Path) -> None:
    plan = make_plan(configure("encoder"))
    put_adapter(plan, load_base(plan)).model.save_pretrained(str(tmp_path / "zo"))
    usual = plan.config.training.model_copy(update={"gradient": "backprop"})
    plan.config.__dict__["training"] = usual
    put_adapter(plan, load_base(plan)).model.save_pretrained(str(tmp_path / "usual"))

    name = "adapter_config.json"
    assert (tmp_path / "zo" / name).read_text() == (tmp_path / "usual" / name).read_text()
    assert load_file(tmp_path / "zo" / WEIGHTS).keys() == load_file(tmp_path / "usual" / WEIGHTS).keys()


@pytest.mark.parametrize(
    ("setting", "found"),
    [("zo.backend=batched", "works in place"), ("training.optimizer=adamw", "works in place")],
)
def test_what_needs_a_second_copy_is_refused(setting: str, found: str, configure: Configure) -> None:
    with pytest.raises(ConfigError, match=found):
        make_plan(configure("encoder", setting))


def test_steps_that_rollbacks_undid_are_not_taken_again() -> None:
    def step(number: int, to: int | None = None) -> Record:
        event = "" if to is None else "rollback"
        return Record(number, 1.0, (1.0,), 1e-2, 1e-3, 1.0, number, event=event, to=to)

    records = [step(0), step(1), step(2, to=1), step(3), step(4), step(5, to=4), step(6)]

    assert [record.step for record in lasting(records)] == [0, 3, 6]
    assert lasting([step(0), step(1, to=0)]) == []


@pytest.mark.parametrize("method", ["prefix", "prompt"])
def test_virtual_tokens_train_by_forward_passes_and_are_replayed(
    method: str, configure: Configure, tmp_path: Path
) -> None:
    config = configure("decoder", "zo.epsilon=0.1", "training.learning_rate=0.1", method=method)
    run = RunFolder(tmp_path / "run")
    train(config, run.path, SilentReporter())
    end = run.checkpoints / "checkpoint-6"
    expected = sha256(end / WEIGHTS)

    assert sha256(run.start / WEIGHTS) != expected
    assert replay(run, tmp_path / "replayed", to=6).verified
    cut_off(run, after=5, checkpoint=4)
    train(run.read_config(), run.path, SilentReporter(), resume=True)
    assert sha256(end / WEIGHTS) == expected
