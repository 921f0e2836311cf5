"""The instruction: text to token ids, each sentence encoded once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from vla_common.core.errors import ConfigError

MAX_TEXT = 1000
MAX_CACHED = 256


class InstructionEncoder:
    """Encodes sentences with a ``tokenizers`` file; results are cached."""

    def __init__(self, path: Path, max_length: int) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:
            raise ConfigError(str(path), "(file)", str(error), "a tokenizers file") from error
        self._max_length = max_length
        self._cache: dict[str, np.ndarray] = {}
        self.hits = 0

    def encode(self, text: str) -> np.ndarray:
        """Return token ids (max_length,) int64, padded with 0, longer sentences cut."""
        cached = self._cache.get(text)
        if cached is not None:
            self.hits += 1
            return cached
        ids = self._tokenizer.encode(text[:MAX_TEXT]).ids[: self._max_length]
        tokens = np.zeros(self._max_length, dtype=np.int64)
        tokens[: len(ids)] = ids
        tokens.setflags(write=False)
        if len(self._cache) >= MAX_CACHED:
            self._cache.pop(next(iter(self._cache)))
        self._cache[text] = tokens
        return tokens
