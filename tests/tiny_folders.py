"""Complete model folders of tiny random models, as ``loretta train --model FOLDER`` takes them.

Each has a config, weights and a tokenizer that needs no download. Imports no pytest, so that a script
may make such a folder too.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

POSITIONS = 128
HIDDEN = 32
_WORDS = (
    "a an and answer bad bird blue boring city cold day does door film fine fish fun good great green "
    "happy house in is it its label light like mean movie night no not of old on or plot rain red river "
    "sad sky story sun terrible text that the this to train tree true ugly very warm was water what white "
    "with yes"
)
WORDS = _WORDS.split()
"""Whole words of the encoder's tokenizer; any other ASCII word is spelled letter by letter."""
PUNCTUATION = ".,;:!?'\"()-_/"

SENTENCES = (
    "the film was great and very fun. It was great",
    "the film was terrible and very boring. It was terrible",
    "a good story with a happy day. Label: good",
    "a bad story with a sad night. Label: bad",
    'the sky is blue.\nDoes this mean that "the sky is not red" is true? Yes or No?\nYes',
    'the old house is in the city.\nDoes this mean that "the house is old" is true? Yes or No?\nNo',
    "the river is cold water. Is the river warm?\nNo",
    "the sun is warm light. Is the sun warm?\nYes",
)
"""What the decoder's tokenizer is trained on; any other text is spelled in bytes or short pieces."""


def save_tiny_encoder(folder: Path, *, num_labels: int = 2, seed: int = 0, hidden: int = HIDDEN) -> Path:
    """Write a BERT of two blocks without a classification head, as base checkpoints are.

    Args:
        folder: Where to; made if it is missing.
        num_labels: Said in its config.
        seed: Of the weights.
        hidden: Its width.

    Returns:
        The folder.
    """
    tokenizer = encoder_tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * hidden,
        max_position_embeddings=POSITIONS,
        num_labels=num_labels,
        initializer_range=0.2,
        pad_token_id=tokenizer.pad_token_id,
    )
    return _save(BertModel, config, tokenizer, folder, seed)


def save_tiny_decoder(folder: Path, *, seed: int = 0, hidden: int = HIDDEN) -> Path:
    """Write a LLaMA of two blocks with its language-model head.

    Args:
        folder: Where to; made if it is missing.
        seed: Of the weights.
        hidden: Its width.

    Returns:
        The folder.
    """
    tokenizer = decoder_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=POSITIONS,
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return _save(LlamaForCausalLM, config, tokenizer, folder, seed)


def save_tiny_encoder_decoder(folder: Path, *, seed: int = 0) -> Path:
    """Write a T5 of two blocks in the encoder and two in the decoder.

    Args:
        folder: Where to; made if it is missing.
        seed: Of the weights.

    Returns:
        The folder.
    """
    tokenizer = encoder_decoder_tokenizer()
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=HIDDEN,
        d_kv=HIDDEN // 4,
        d_ff=2 * HIDDEN,
        num_layers=2,
        num_heads=4,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    return _save(T5ForConditionalGeneration, config, tokenizer, folder, seed)


def encoder_tokenizer(words: Iterable[str] = WORDS, **options: Any) -> Any:
    """WordPiece of fixed pieces, lower case; a pair is ``[CLS] a [SEP] b [SEP]``.

    Args:
        words: Those that are one piece.
        **options: Further ones of the tokenizer, such as its mask token.
    """
    letters = string.ascii_lowercase + string.digits
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *PUNCTUATION, *letters, *(f"##{one}" for one in letters)]
    pieces += [word for word in words if len(word) > 1]
    tokenizer = Tokenizer(
        models.WordPiece({piece: index for index, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, pieces.index(name)) for name in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=POSITIONS,
        **options,
    )


def decoder_tokenizer() -> Any:
    """Byte-level BPE trained on :data:`SENTENCES`; every text begins with ``<s>``."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B:1", special_tokens=[("<s>", special.index("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        model_max_length=POSITIONS,
    )


def encoder_decoder_tokenizer() -> Any:
    """BPE of words that begin with a mark, trained on :data:`SENTENCES`; every text ends with ``</s>``."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=special, initial_alphabet=list(string.printable), show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", special.index("</s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def _save(model_class: Any, config: Any, tokenizer: Any, folder: Path, seed: int) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
