"""The terms of the estimate, by hand."""

from __future__ import annotations

import pytest

from loretta_cli.measure.memory_estimate import (
    Held,
    Pass,
    Passes,
    ZerothOrder,
    estimate_memory,
    optimizer_bytes,
    quantized_bytes,
)

SHAPES = ((10, 20), (30,))
HELD = Held(weights=1000, trained=SHAPES, trained_bytes=920)


def test_an_optimizer_remembers_what_it_needs() -> None:
    assert optimizer_bytes("adamw", SHAPES) == 8 * 230
    assert optimizer_bytes("rmsprop", SHAPES) == 4 * 230
    assert optimizer_bytes("sgd", SHAPES) == 0
    assert optimizer_bytes("sgd", SHAPES, momentum=True) == 4 * 230
    assert optimizer_bytes("adafactor", SHAPES) == 4 * (10 + 20 + 30)


def test_quantised_matrices_have_scales() -> None:
    assert quantized_bytes(64, 256, "nf4") == 64 * 128 + 256 + 4
    assert quantized_bytes(64, 256, "int8") == 64 * 256 + 4 * 64


def test_the_rows_of_backpropagation_add_up() -> None:
    passes = Passes(Pass(10_000, 2_000), Pass(4_000), on_cpu=True)

    found = estimate_memory(HELD, passes, optimizer="adamw")

    assert found.rows == {
        "weights": 1000,
        "adapters": 920,
        "gradients": 920,
        "optimizer": 1840,
        "activations": 10_000 - 2_000 - 920,
        "logits": 2_000,
        "allocator": 5_000 + 60 * 2**20,
    }
    kept = found.rows["allocator"]
    assert found.training == 1000 + 920 + 1840 + 10_000 + kept
    assert found.evaluation == 1000 + 920 + 1840 + 4_000 + kept
    assert found.total == found.training


def test_freed_blocks_that_are_given_back_are_not_counted() -> None:
    passes = Passes(Pass(10_000, 2_000), Pass(4_000), on_cpu=True, gives_back=True)

    assert estimate_memory(HELD, passes, optimizer="adamw").rows["allocator"] == 60 * 2**20


def test_an_evaluation_may_be_the_worst_moment() -> None:
    found = estimate_memory(HELD, Passes(Pass(10), Pass(50_000)), optimizer="sgd")

    assert found.total == found.evaluation == 1000 + 920 + 50_000
    assert found.rows["allocator"] == 0, "on a GPU"


def test_zeroth_order_holds_directions_and_as_many_copies_as_there_is_room_for() -> None:
    few = ZerothOrder(in_place=False, queries=2, points=4, budget=3 * (10_000 + 920))
    many = ZerothOrder(in_place=False, queries=2, points=4, budget=2**30)
    alone = ZerothOrder(in_place=False, queries=1, points=2, budget=0)
    copies = [
        estimate_memory(HELD, Passes(Pass(10_000), Pass(0)), optimizer="sgd", zeroth_order=one).rows["copies"]
        for one in (few, many, alone)
    ]

    assert copies == [2 * 10_920, 3 * 10_920, 0]


def test_training_in_place_has_no_gradient_and_no_copies() -> None:
    in_place = ZerothOrder(in_place=True, queries=1, points=2, budget=0)
    found = estimate_memory(HELD, Passes(Pass(10), Pass(10)), optimizer="sgd", zeroth_order=in_place)

    assert found.rows["gradients"] == found.rows["copies"] == found.rows["optimizer"] == 0
    assert found.rows["directions"] == 2 * 920


def test_a_4_bit_layer_is_held_once_in_full() -> None:
    held = Held(weights=500, trained=SHAPES, trained_bytes=920, dequantized=300)
    found = estimate_memory(held, Passes(Pass(10_000), Pass(10)), optimizer="adamw")

    assert found.rows["activations"] == 10_000 - 920 + 300


@pytest.mark.parametrize("momentum", [True, False])
def test_the_document_has_every_row(momentum: bool) -> None:
    found = estimate_memory(HELD, Passes(Pass(1000), Pass(10)), optimizer="sgd", momentum=momentum).as_json()

    assert {"weights", "adapters", "total", "evaluation", "training", "optimizer_name"} <= set(found)
