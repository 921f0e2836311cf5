"""The instruction tokenizer: whole words, lower case; written to and read from tokenizer.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

PAD: Final = "[PAD]"
UNKNOWN: Final = "[UNK]"
PAD_ID: Final = 0
UNKNOWN_ID: Final = 1


def build(words: Sequence[str], max_length: int) -> Tokenizer:
    """Return a tokenizer for ``words``; ids 0 and 1 are padding and unknown words.

    Normalisation (lower case, everything but letters becomes a space), truncation and padding to
    ``max_length`` are part of the tokenizer, so they travel with its file.
    """
    vocabulary = {PAD: PAD_ID, UNKNOWN: UNKNOWN_ID}
    vocabulary.update({word: i for i, word in enumerate(words, start=2)})
    tokenizer = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex("[^a-z]+"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.enable_truncation(max_length)
    tokenizer.enable_padding(length=max_length, pad_id=PAD_ID, pad_token=PAD)
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return token ids (len(texts), max_length)."""
    return np.array([e.ids for e in tokenizer.encode_batch(list(texts))], dtype=np.int64)
