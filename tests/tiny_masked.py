"""Complete folders of tiny random masked language models, with tokenizers that know every label word.

Each kind tokenizes as the model it is named after: BERT by word pieces in lower case, RoBERTa by bytes, where
a word behind a space is another token, and the mask swallows the space before it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    BertConfig,
    BertForMaskedLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

from tests.tiny_folders import HIDDEN, WORDS, encoder_tokenizer

Kind = Literal["roberta", "bert"]
POSITIONS = 128
_LABEL_WORDS = (
    "Yes No Maybe terrible bad okay good great correct incorrect World Sports Business Technology Expression "
    "Entity Description Human Location Number 0 1 2 3 4 5"
)
LABEL_WORDS = _LABEL_WORDS.split()


def save_tiny_masked(folder: Path, kind: Kind, *, seed: int = 0) -> Path:
    """Write a model of two blocks with its masked-language-model head.

    Args:
        folder: Where to; made if it is missing.
        kind: Of the model and its tokenizer.
        seed: Of the weights.

    Returns:
        The folder.
    """
    tokenizer = masked_tokenizer(kind)
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": HIDDEN,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 2 * HIDDEN,
        "pad_token_id": tokenizer.pad_token_id,
        "initializer_range": 0.2,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: Any = (
            RobertaForMaskedLM(
                RobertaConfig(
                    **sizes,
                    max_position_embeddings=POSITIONS + 2,
                    bos_token_id=tokenizer.bos_token_id,
                    eos_token_id=tokenizer.eos_token_id,
                )
            )
            if kind == "roberta"
            else BertForMaskedLM(BertConfig(**sizes, max_position_embeddings=POSITIONS))
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def masked_tokenizer(kind: Kind) -> Any:
    """The tokenizer of a kind."""
    return _bytes() if kind == "roberta" else _word_pieces()


def _bytes() -> Any:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    mask = AddedToken("<mask>", lstrip=True, special=True)
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", mask],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([f" {word}" for word in (*LABEL_WORDS, *WORDS)], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        sep_token="</s>",
        cls_token="<s>",
        unk_token="<unk>",
        mask_token=mask,
    )


def _word_pieces() -> Any:
    words = sorted({word.lower() for word in (*LABEL_WORDS, *WORDS)})
    return encoder_tokenizer(["[MASK]", *words], mask_token="[MASK]")
