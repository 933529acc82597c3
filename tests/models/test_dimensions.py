"""Width and depth under the names that configs have for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from loretta_cli.models.dimensions import hidden_size, num_layers
from tests.tiny_models import HIDDEN, LAYERS, TINY, tiny_config


@pytest.mark.parametrize("name", TINY)
def test_width_and_depth_of_every_tiny_model_are_found_in_its_config(name: str) -> None:
    written = tiny_config(name).to_dict()
    assert (hidden_size(written), num_layers(written)) == (HIDDEN, LAYERS)


def test_a_config_that_does_not_say_has_neither() -> None:
    assert (hidden_size({}), num_layers({})) == (None, None)
    assert hidden_size({"hidden_size": None, "dim": 8}) == 8


def test_the_deeper_half_of_an_encoder_decoder_counts() -> None:
    assert num_layers({"num_layers": 2, "num_decoder_layers": 4}) == 4
    assert num_layers({"num_layers": 6, "num_decoder_layers": 4}) == 6


def test_dimensions_need_no_torch() -> None:
    program = "import sys; import loretta_cli.models.dimensions; sys.exit(int('torch' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
