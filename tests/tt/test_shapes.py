"""Mode shapes: products, balance, the border between input and output."""

from __future__ import annotations

import math

import pytest

from loretta_cli.errors import ConfigError
from loretta_cli.tt import ModeShape, balanced_modes, choose_mode_shape

MODEL_SIZES = (384, 576, 768, 2048, 2560, 3072, 4096, 11008, 13824, 28672)
PRIMES = (2, 3, 97, 251, 1009, 7919, 104729)


def smallest_sum(size: int, count: int) -> int:
    """The least sum of at most ``count`` factors of ``size``, by trying every divisor."""
    if count == 1:
        return size
    divisors = [divisor for divisor in range(2, size) if size % divisor == 0]
    return min([size, *(divisor + smallest_sum(size // divisor, count - 1) for divisor in divisors)])


def test_balanced_modes_multiply_to_every_size_up_to_3000() -> None:
    wrong = [size for size in range(1, 3001) if math.prod(balanced_modes(size)) != size]
    assert wrong == []


def test_balanced_modes_are_ascending_and_at_least_two_for_every_size_up_to_3000() -> None:
    for size in range(2, 3001):
        modes = balanced_modes(size)
        assert list(modes) == sorted(modes)
        assert modes[0] >= 2


@pytest.mark.parametrize("size", MODEL_SIZES)
def test_balanced_modes_of_model_sizes_are_short_and_small(size: int) -> None:
    modes = balanced_modes(size)
    assert math.prod(modes) == size
    assert len(modes) == round(math.log(size, 8))
    assert max(modes) <= 43


@pytest.mark.parametrize("prime", PRIMES)
def test_a_prime_stays_one_mode(prime: int) -> None:
    assert balanced_modes(prime) == (prime,)


def test_the_documented_examples_hold() -> None:
    assert balanced_modes(1) == (1,)
    assert balanced_modes(48) == (6, 8)
    assert balanced_modes(11008) == (4, 8, 8, 43)


@pytest.mark.parametrize("size", [*range(2, 200), 768, 2304])
def test_no_other_factorisation_of_that_length_has_a_smaller_sum(size: int) -> None:
    count = max(1, round(math.log(size, 8)))
    assert sum(balanced_modes(size)) == smallest_sum(size, count)


@pytest.mark.parametrize("size", [0, -8])
def test_a_size_below_one_is_refused(size: int) -> None:
    with pytest.raises(ConfigError, match=f"at least 1, found {size}"):
        balanced_modes(size)


@pytest.mark.parametrize("inputs", [1, 7, 48, 576, 1009, 2048, 11008])
@pytest.mark.parametrize("outputs", [1, 7, 48, 576, 1009, 2048, 11008])
def test_a_computed_shape_has_its_border_between_two_cores(inputs: int, outputs: int) -> None:
    shape = choose_mode_shape(inputs, outputs)
    assert shape.boundary is not None
    assert 0 < shape.boundary < len(shape.modes)
    assert math.prod(shape.modes[: shape.boundary]) == inputs
    assert math.prod(shape.modes[shape.boundary :]) == outputs


def test_the_largest_modes_of_a_computed_shape_stand_outside() -> None:
    modes = choose_mode_shape(11008, 144).modes
    assert modes == (43, 8, 8, 4, 12, 12)


def test_a_published_shape_wins_over_a_computed_one() -> None:
    assert choose_mode_shape(768, 64).modes == (8, 8, 12, 8, 8)


def test_an_up_projection_mirrors_its_down_projection() -> None:
    assert choose_mode_shape(64, 4096).modes == tuple(reversed(choose_mode_shape(4096, 64).modes))


def test_a_core_that_carries_both_sides_has_no_boundary() -> None:
    assert choose_mode_shape(16, 1024).boundary is None
    assert ModeShape(4, 6, (24,)).boundary is None
    assert ModeShape(6, 6, (4, 9)).boundary is None


def test_the_boundary_of_a_matrix_with_one_row_lies_behind_a_core() -> None:
    assert ModeShape(1, 48, (1, 8, 6)).boundary == 1
    assert ModeShape(1, 48, (8, 6)).boundary is None


def test_modes_of_a_wrong_product_are_refused_with_both_numbers_and_a_way_out() -> None:
    with pytest.raises(ConfigError, match=r"\[8, 8\] multiply to 64, but a 8 x 9 matrix has 72") as caught:
        ModeShape(8, 9, (8, 8))
    assert "mode_shapes" in caught.value.hint


@pytest.mark.parametrize("modes", [(), (0, 8), (-8, -9)])
def test_modes_that_are_missing_or_not_positive_are_refused(modes: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="must be positive"):
        ModeShape(8, 9, modes)


def test_a_shape_is_written_with_a_bar_at_its_border() -> None:
    assert str(ModeShape(768, 8, (8, 8, 12, 8))) == "8·8·12 | 8"
    assert str(choose_mode_shape(16, 1024)) == "8·8·8·8·4"
