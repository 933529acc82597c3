"""The benchmark of step time and memory: contenders, turns, ratios, peaks, and a run on tiny shapes."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest
import torch
from peft import TaskType

from benchmarks.step_time import __main__ as program
from benchmarks.step_time import cases, contraction
from benchmarks.step_time.cases import CASES, LLAMA_7B, SMOLLM2, Case, Setting, Workload
from benchmarks.step_time.contenders import FORWARDS, make_contenders
from benchmarks.step_time.measuring import (
    WARM_UP_ROUNDS,
    Times,
    highest_sum,
    paired_ratios,
    peak_rise_bytes,
    quartiles,
    take_turns,
)
from benchmarks.step_time.results import REFERENCES, make_rows
from tests.command_line import REPOSITORY
from tests.tiny_models import labelled_batch, tiny_config, tiny_model

CPU = torch.device("cpu")
ON_CPU = Setting(CPU, torch.float32)
FIGURES = (REPOSITORY / "docs" / "speed.md").read_text(encoding="utf-8")
PREFIX = "python -m benchmarks.step_time "
NAMES = ["lora", "rep", "lora, adp's layers", "adp", "dense", FORWARDS]


def tiny(_: Setting, rows: int, tokens: int) -> Workload:
    """The tiny llama with a language-model loss."""
    model = tiny_model("llama").requires_grad_(False)
    return Workload(model, labelled_batch("llama", rows=rows), TaskType.CAUSAL_LM)


TINY_CASE = Case("tiny", "a tiny llama", 2, 7, tiny)


def test_a_ratio_is_taken_inside_a_pair_and_the_quartiles_over_pairs() -> None:
    found = paired_ratios([2.0, 30.0, 4.0, 9.0, 5.0], [1.0, 10.0, 4.0, 2.0, 1.0])
    assert (found.first, found.median, found.third) == (2.0, 3.0, 4.5)


def test_pairs_of_unequal_number_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired_ratios([1.0, 2.0], [1.0])


def test_a_single_pair_has_its_ratio_as_every_quartile() -> None:
    found = quartiles([1.5])
    assert (found.first, found.median, found.third) == (1.5, 1.5, 1.5)


def test_every_contender_runs_once_a_round_and_no_one_is_always_first() -> None:
    order: list[str] = []
    times = take_turns({name: lambda name=name: order.append(name) for name in "abc"}, 4, CPU)
    rounds = ["".join(order[start : start + 3]) for start in range(0, len(order), 3)]
    assert len(rounds) == WARM_UP_ROUNDS + 4
    assert rounds[WARM_UP_ROUNDS:] == ["abc", "bca", "cab", "abc"]
    assert all(len(one.wall) == len(one.cpu) == 4 for one in times.values())
    assert all(seconds >= 0 for one in times.values() for seconds in (*one.wall, *one.cpu))


def test_garbage_is_not_collected_while_time_is_taken_and_is_afterwards() -> None:
    states: list[bool] = []
    take_turns({"only": lambda: states.append(gc.isenabled())}, 1, CPU)
    assert not any(states)
    assert gc.isenabled()


def test_work_shows_in_both_clocks() -> None:
    matrix = torch.randn(200, 200)
    times = take_turns({"much": lambda: [matrix.mm(matrix) for _ in range(20)], "none": lambda: None}, 3, CPU)
    assert min(times["much"].wall) > min(times["none"].wall)
    assert min(times["much"].cpu) > min(times["none"].cpu)


def test_the_highest_sum_is_that_of_the_worst_moment() -> None:
    assert highest_sum([5, 10, -10, 4, 3, -12]) == 15
    assert highest_sum([-5, 2]) == 0
    assert highest_sum([]) == 0


def test_peak_memory_counts_what_is_alive_together() -> None:
    def step() -> None:
        for _ in range(3):
            one = torch.ones(1000, 100)
            other = one + one
            del one, other

    peak = peak_rise_bytes(step, CPU)
    assert 2 * 400_000 <= peak < 2 * 400_000 + 10_000


def test_memory_that_a_step_leaves_behind_is_in_its_peak() -> None:
    kept: list[torch.Tensor] = []
    assert peak_rise_bytes(lambda: kept.append(torch.ones(1000, 100)), CPU) >= 400_000


@pytest.fixture(scope="module")
def contenders() -> dict[str, Any]:
    made = make_contenders(tiny(ON_CPU, 2, 7))
    return {one.name: one for one in made}


def test_the_contenders_are_those_of_the_table(contenders: dict[str, Any]) -> None:
    assert list(contenders) == NAMES
    assert set(REFERENCES) <= set(NAMES)


def test_lora_has_the_layers_of_the_method_it_is_compared_with(contenders: dict[str, Any]) -> None:
    lora, rep, there, adp = (contenders[name].model for name in NAMES[:4])
    assert set(lora.targeted_module_names) == set(rep.targeted_module_names)
    assert {name.rpartition(".")[2] for name in lora.targeted_module_names} == {"q_proj", "v_proj"}
    assert set(there.targeted_module_names) == set(adp.targeted_module_names)
    assert {name.rpartition(".")[2] for name in adp.targeted_module_names} == {
        "gate_proj",
        "up_proj",
        "down_proj",
    }


def test_all_contenders_share_the_frozen_weights(contenders: dict[str, Any]) -> None:
    places = [
        {value.data_ptr() for value in one.model.parameters() if not value.requires_grad}
        for one in contenders.values()
    ]
    assert all(place == places[0] for place in places)


def test_the_dense_adapter_has_the_size_of_two_linear_layers_and_starts_at_the_base(
    contenders: dict[str, Any],
) -> None:
    dense, base = contenders["dense"], contenders[FORWARDS]
    assert dense.trainable == 2 * 3 * (2 * 48 * 64 + 64 + 48)
    assert torch.equal(dense.workload.loss(dense.model), base.workload.loss(base.model))


@pytest.mark.parametrize("name", NAMES[:-1])
def test_a_step_trains_the_adapter_and_leaves_base_and_gradients_clean(
    contenders: dict[str, Any], name: str
) -> None:
    one = contenders[name]
    before = {key: value.clone() for key, value in one.model.state_dict().items()}
    one.step()
    moved = {key for key, value in one.model.named_parameters() if not torch.equal(value, before[key])}
    trainable = {key for key, value in one.model.named_parameters() if value.requires_grad}
    assert moved
    assert moved <= trainable
    assert all(value.grad is None for value in one.model.parameters())


@pytest.mark.parametrize("fused", [True, False])
def test_all_trained_contenders_have_the_same_optimizer(fused: bool) -> None:
    made = make_contenders(tiny(ON_CPU, 2, 7), fused=fused)[:-1]
    assert {type(one.optimizer) for one in made} == {torch.optim.AdamW}
    assert {one.optimizer.param_groups[0]["fused"] for one in made} == {fused}


def test_two_forwards_are_two_and_keep_no_graph(contenders: dict[str, Any]) -> None:
    one = contenders[FORWARDS]
    calls: list[bool] = []
    hook = one.model.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    one.step()
    hook.remove()
    assert calls == [False, False]
    assert one.trainable == 0


def test_what_stays_is_counted_once_with_the_state_of_the_optimizer(contenders: dict[str, Any]) -> None:
    one, base = contenders["rep"], contenders[FORWARDS]
    one.step()
    parameters = sum(1 for value in one.model.parameters() if value.requires_grad)
    adapter_and_adam = 3 * 4 * one.trainable + 4 * parameters
    assert one.resident_bytes() == base.resident_bytes() + adapter_and_adam


def test_a_block_in_the_middle_passes_a_gradient_to_its_input_and_drops_it() -> None:
    small = LLAMA_7B | {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4}
    workload = cases.llama_layer(small | {"num_key_value_heads": 4})(ON_CPU, 1, 5)
    one = make_contenders(workload)[1]
    hidden = workload.batch["inputs_embeds"]
    torch.autograd.backward(workload.loss(one.model))
    assert hidden.grad is not None
    one.clear()
    assert hidden.grad is None


def test_the_random_smollm2_has_the_size_of_the_real_one() -> None:
    from transformers import AutoModelForCausalLM, LlamaConfig

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(LlamaConfig(**SMOLLM2))
    assert sum(value.numel() for value in model.parameters()) == 134_515_008


def test_a_folder_replaces_the_random_weights(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "SMOLLM2", tiny_config("llama").to_dict())
    saved = tiny_model("llama")
    saved.save_pretrained(tmp_path)
    workload = cases.smollm2(Setting(CPU, torch.float32, tmp_path), 2, 7)
    assert torch.equal(workload.model.lm_head.weight, saved.lm_head.weight)
    drawn = cases.smollm2(ON_CPU, 2, 7)
    assert not torch.equal(drawn.model.lm_head.weight, saved.lm_head.weight)
    assert drawn.batch["input_ids"].shape == (2, 7)
    assert not any(value.requires_grad for value in drawn.model.parameters())


def test_rows_hold_ratios_of_the_chosen_clock_and_of_peaks() -> None:
    steps = {"lora": 2.0, "rep": 2.2, "lora, adp's layers": 4.0, "adp": 3.0, "dense": 5.0, FORWARDS: 1.0}
    times = {name: Times(wall=[9.0, 9.0], cpu=[cpu, cpu]) for name, cpu in steps.items()}
    peaks = {name: int(100 * cpu) for name, cpu in steps.items()}
    rows = {row.name: row for row in make_rows(times, peaks, dict.fromkeys(steps, 7), "cpu")}
    assert rows["adp"].time_ratios["lora"].median == 1.5
    assert rows["adp"].time_ratios["lora, adp's layers"].median == 0.75
    assert rows["rep"].memory_ratios["lora"] == pytest.approx(1.1)
    assert rows["rep"].cells()[4].startswith("1.100")
    assert rows["adp"].cells()[4].startswith("0.750")
    wall = make_rows(times, peaks, dict.fromkeys(steps, 7), "wall")
    assert {row.time_ratios["lora"].median for row in wall} == {1.0}


def test_the_cases_asked_for_exist_and_the_large_ones_wait_to_be_named() -> None:
    named = {case.name for case in CASES if case.by_default}
    expected = {"minilm-32x64", "smollm2-8x32", "smollm2-2x256", "llama-layer-1x512", "llama-layer-8x128"}
    assert named == expected
    assert all(case.name.endswith(f"{case.rows}x{case.tokens}") for case in CASES)


def test_a_run_prints_a_table_with_every_contender(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "CASES", (TINY_CASE,))
    program.main(["--pairs", "1", "--case", "tiny"])
    told = capsys.readouterr()
    lines = told.out.strip().splitlines()
    assert lines[0].startswith("| a tiny llama")
    assert [line.split(" | ")[0].removeprefix("| ").strip() for line in lines[2:]] == NAMES
    assert len({len(line) for line in lines}) == 1
    assert "cpu time, 1 pairs" in told.err


def test_json_is_one_document_with_the_ratios(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "CASES", (TINY_CASE,))
    program.main(["--pairs", "2", "--json", "--clock", "wall", "--fused"])
    document = json.loads(capsys.readouterr().out)
    assert (document["clock"], document["pairs"], document["threads"]) == ("wall", 2, 1)
    assert document["fused"]
    (case,) = document["cases"]
    rows = {row["name"]: row for row in case["rows"]}
    assert list(rows) == NAMES
    assert rows["lora"]["time_ratios"]["lora"] == {"first": 1.0, "median": 1.0, "third": 1.0}
    assert rows["rep"]["trainable"] < rows["lora"]["trainable"]
    assert rows["rep"]["memory_ratios"][FORWARDS] > 1


def test_an_unknown_case_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        program.main(["--case", "minilm"])
    assert end.value.code == 2
    assert "minilm-32x64" in capsys.readouterr().err


def test_the_choices_of_the_contraction_are_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(contraction, "WIDTHS", (64,))
    monkeypatch.setattr(contraction, "RANKS", (5, 40))
    monkeypatch.setattr(contraction, "THIN", (5,))
    program.main(["--contraction", "--pairs", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert sum("64 x 64, rank 5 " in line and "two factors" in line for line in lines) == 2
    assert sum("64 x 64, rank 40" in line and "dense" in line for line in lines) == 2
    assert sum(line.startswith("| 64 x 5 ") for line in lines) == 2


@pytest.mark.parametrize("line", [line for line in FIGURES.splitlines() if line.startswith(PREFIX)])
def test_the_commands_of_readme_are_understood(line: str) -> None:
    program.parser().parse_args(line.removeprefix(PREFIX).split())


def test_the_figures_name_every_case_that_runs_by_default() -> None:
    assert all(f"--case {case.name}" in FIGURES for case in CASES if case.by_default)
