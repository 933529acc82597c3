"""Several tasks, one after the other: the adapter is carried over, heads are kept, a cut-off run goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.command_line import loretta, metric_records
from tests.task_folders import write_tasks

Tensors = dict[str, torch.Tensor]
SETTINGS = (
    *("--set", "adapter.dropout=0.3"),
    *("--set", "training.max_steps=6"),
    *("--set", "training.batch_size=4"),
    *("--set", "training.evaluate_every=3"),
    *("--set", "training.learning_rate=0.01"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_folders import save_tiny_decoder, save_tiny_encoder

    folder = tmp_path_factory.mktemp("sequence")
    save_tiny_encoder(folder / "encoder")
    save_tiny_decoder(folder / "decoder")
    write_tasks(folder / "data", "sst2", "mr", "sst5")
    return folder


def _train(place: Path, output: Path, *more: str, model: str = "encoder", tasks: str = "sst2 mr") -> Any:
    names = [part for name in tasks.split() for part in ("--task", name)]
    arguments = ("--model", place / model, "--data", place / "data", *names, *SETTINGS, *more)
    return loretta("train", "--output", output, *arguments, "--json")


def _started_with(monkeypatch: pytest.MonkeyPatch) -> list[Tensors]:
    """The tensors of the adapter as the training of each stage begins."""
    from peft import get_peft_model_state_dict

    from loretta_cli.training.trainer import AdapterTrainer

    seen: list[Tensors] = []
    train = AdapterTrainer.train

    def watched(trainer: AdapterTrainer, *arguments: Any, **options: Any) -> Any:
        state = get_peft_model_state_dict(trainer.model, save_embedding_layers=False)
        seen.append({name: value.clone() for name, value in state.items()})
        return train(trainer, *arguments, **options)

    monkeypatch.setattr(AdapterTrainer, "train", watched)
    return seen


def _adapter(run: Path) -> Tensors:
    tensors: Tensors = load_file(run / "adapter" / "adapter_model.safetensors")
    return tensors


def _same(one: Tensors, other: Tensors, names: set[str] | None = None) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in names or set(one))


@pytest.mark.parametrize("method", ["rep", "bitfit", "p-tuning"])
def test_a_stage_starts_with_the_adapter_of_the_one_before_and_a_new_head(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    seen = _started_with(monkeypatch)
    extra = () if method == "rep" else ("--set", "adapter.dropout=null")

    outcome = _train(place, tmp_path / "run", "--method", method, *extra)

    assert outcome.exit_code == 0, outcome.stderr
    first, second = (_adapter(tmp_path / "run" / "stages" / name) for name in ("1-sst2", "2-mr"))
    heads = {name for name in first if "classifier" in name}
    assert heads
    assert heads != set(first)
    assert _same(seen[1], first, set(first) - heads)
    assert not _same(seen[0], first, set(first) - heads), "the first stage has learned something"
    assert _same(seen[1], seen[0], heads), "a new head, drawn from the same seed"
    assert _same(_adapter(tmp_path / "run"), second)


def test_a_shared_head_is_carried_over_too(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = _started_with(monkeypatch)

    outcome = _train(place, tmp_path / "run", "--set", "task.shared_head=true")

    assert outcome.exit_code == 0, outcome.stderr
    assert _same(seen[1], _adapter(tmp_path / "run/stages/1-sst2"))
    first, second = (task["scores"] for task in outcome.document["forgetting"]["tasks"])
    assert None not in (*first, *second), "all tasks are evaluated from the first stage on"


def test_prompts_share_the_whole_adapter(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = _started_with(monkeypatch)

    outcome = _train(place, tmp_path / "run", model="decoder", tasks="sst2 sst5 mr")

    assert outcome.exit_code == 0, outcome.stderr
    for number, name in ((1, "1-sst2"), (2, "2-sst5")):
        assert _same(seen[number], _adapter(tmp_path / "run/stages" / name))
    assert all(None not in task["scores"] for task in outcome.document["forgetting"]["tasks"])


def test_each_task_has_a_head_of_its_own_size(place: Path, tmp_path: Path) -> None:
    outcome = _train(place, tmp_path / "run", tasks="sst2 sst5 mr")

    assert outcome.exit_code == 0, outcome.stderr
    stages = ("1-sst2", "2-sst5", "3-mr")
    heads = [_adapter(tmp_path / "run/stages" / name)["base_model.model.classifier.bias"] for name in stages]
    assert [len(head) for head in heads] == [2, 5, 2]


def _killed(stop: type, name: str, monkeypatch: pytest.MonkeyPatch, *, when: Callable[..., bool]) -> None:
    """Have a method of a class raise Ctrl+C, once it is called in the way that ``when`` recognises."""
    whole = getattr(stop, name)

    def interrupted(owner: Any, *arguments: Any, **options: Any) -> Any:
        if when(owner, *arguments):
            raise KeyboardInterrupt
        return whole(owner, *arguments, **options)

    monkeypatch.setattr(stop, name, interrupted)


@pytest.fixture(scope="module")
def uninterrupted(place: Path) -> Path:
    outcome = _train(place, place / "uninterrupted", tasks="sst2 sst5 mr")
    assert outcome.exit_code == 0, outcome.stderr
    return place / "uninterrupted"


@pytest.mark.parametrize("moment", ["in a stage", "before its first checkpoint", "between two stages"])
def test_a_run_that_was_cut_off_ends_as_if_it_had_not(
    place: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    from loretta_cli.training.sequence import _Sequence
    from loretta_cli.training.trainer import AdapterTrainer

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        if moment == "between two stages":
            # The stage is finished, and its evaluation is not.
            _killed(_Sequence, "_evaluate_all", patch, when=lambda _, number, *__: number == 1)
        else:
            step = 4 if moment == "in a stage" else 1
            _killed(
                AdapterTrainer,
                "training_step",
                patch,
                when=lambda trainer, *_: (
                    "2-sst5" in trainer.args.output_dir and trainer.state.global_step == step
                ),
            )
        cut = _train(place, run, tasks="sst2 sst5 mr")
    assert cut.exit_code == 130
    assert not (run / "report.json").exists()
    assert (run / "stages/2-sst5/report.json").exists() == (moment == "between two stages")

    outcome = loretta("train", "--output", run, "--resume", "--json")

    assert outcome.exit_code == 0, outcome.stderr
    assert ("resuming after step 3" in outcome.stderr) == (moment == "in a stage")
    assert _same(_adapter(run), _adapter(uninterrupted))
    assert metric_records(run) == metric_records(uninterrupted)
    assert (run / "forgetting.csv").read_bytes() == (uninterrupted / "forgetting.csv").read_bytes()


def test_a_finished_sequence_is_only_shown(uninterrupted: Path) -> None:
    before = (uninterrupted / "report.json").stat().st_mtime_ns

    outcome = loretta("train", "--output", uninterrupted, "--resume")

    assert outcome.exit_code == 0
    assert "is finished" in outcome.stderr
    assert "majority class" in outcome.stdout
    assert (uninterrupted / "report.json").stat().st_mtime_ns == before


def test_a_stage_is_not_resumed_by_itself(uninterrupted: Path, tmp_path: Path) -> None:
    run = shutil.copytree(uninterrupted, tmp_path / "run")
    (run / "stages/2-sst5/report.json").unlink()

    outcome = loretta("train", "--output", run / "stages/2-sst5", "--resume")

    assert outcome.exit_code != 0
    assert f"--output {run} --resume" in outcome.stderr


def test_an_adapter_of_another_size_is_not_carried_over(place: Path, uninterrupted: Path) -> None:
    from loretta_cli.artifacts.restore import restore
    from loretta_cli.artifacts.run_folder import RunFolder
    from loretta_cli.errors import RunError
    from loretta_cli.tuners.carrying import carry_over

    model = restore(RunFolder(uninterrupted / "stages/1-sst2")).model
    with pytest.raises(RunError, match="classifier"):
        carry_over(model, uninterrupted / "stages/2-sst5/adapter", with_head=True)
    with pytest.raises(RunError, match="cannot be read"):
        carry_over(model, place, with_head=False)
