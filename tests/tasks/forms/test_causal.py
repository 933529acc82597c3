"""Virtual tokens before left-padded prompts: a text is read alike alone and in a batch."""

from __future__ import annotations

import pytest
import torch

from loretta_cli.tasks.encoding import padded
from loretta_cli.tasks.forms.causal import can_share, last_logits, model_inputs
from tests.tiny_models import tiny_model
from tests.tuners.baselines import with_method

TEXTS = ([5, 6, 7, 8, 9, 10], [11, 12, 13], [14])


@pytest.mark.parametrize("method", ["p-tuning", "prefix", "prompt"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "opt"])
def test_a_text_is_read_alike_alone_and_in_a_batch(family: str, method: str) -> None:
    model = with_method(family, method)
    assert not can_share(model)
    batch = padded(TEXTS, 0, side="left")

    with torch.no_grad():
        together = last_logits(model, model_inputs(model, batch), 2)
        for text, found in zip(TEXTS, together, strict=True):
            alone = model(input_ids=torch.tensor([text]), attention_mask=torch.ones(1, len(text))).logits[0]
            count = min(2, len(text))
            torch.testing.assert_close(found[-count:], alone[-count:], rtol=0, atol=1e-5)


def test_without_virtual_tokens_options_may_share_a_prompt() -> None:
    assert can_share(tiny_model("llama"))
    assert can_share(with_method("llama", "lora"))
