"""The bytes of the tensors that are alive together."""

from __future__ import annotations

import torch

from loretta_cli.measure.live_memory import peak_rise_bytes

CPU = torch.device("cpu")


def test_what_has_died_does_not_count() -> None:
    start = torch.zeros(1000)

    def work() -> None:
        first = start + 1
        second = first * 2
        del first
        third = second + 1
        third.add_(second)

    assert peak_rise_bytes(work, CPU) == 2 * 4000


def test_views_and_what_was_there_before_do_not_count() -> None:
    start = torch.zeros(1000)

    def work() -> None:
        start.view(10, 100).t().add_(1)

    assert peak_rise_bytes(work, CPU) == 0


def test_a_layer_chain_keeps_two_activations() -> None:
    layers = [torch.nn.Linear(50, 50) for _ in range(6)]

    @torch.no_grad()
    def work() -> None:
        hidden = torch.zeros(8, 50)
        for layer in layers:
            hidden = layer(hidden)

    assert peak_rise_bytes(work, CPU) == 2 * 8 * 50 * 4
