"""Pins: every wording names its colour, some are never trained on, tokens keep the colour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_models.core import sentences, tokens
from vla_sim.core.task import COLOURS, target_in

LENGTH = 16


@pytest.fixture(scope="module")
def tokenizer():
    return tokens.build(sentences.words(), LENGTH)


@pytest.mark.parametrize("split", sorted(sentences.SPLITS))
def test_every_sentence_names_its_colour_and_fits(split, tokenizer):
    for text, colour in sentences.every(split):
        assert target_in(text) == colour
        ids = tokens.encode(tokenizer, [text])[0]
        assert tokenizer.token_to_id(colour) in ids
        assert len(text.split()) <= LENGTH


def test_hold_sentences_name_no_cube():
    assert all(target_in(text) is None for text in sentences.HOLD)


def test_held_out_wordings_are_new():
    train = {text for text, _ in sentences.every("train")}
    held_out = {text for text, _ in sentences.every("held_out")}
    assert not held_out & train
    known = set(sentences.words())
    unknown = {word for text in held_out for word in text.split()} - known
    assert {"brick", "head", "travel"} <= unknown


def test_words_survive_the_round_trip(tokenizer):
    text = "please reach the red cube"
    ids = tokens.encode(tokenizer, [text])[0]
    assert tokenizer.decode(ids.tolist(), skip_special_tokens=False).split()[:5] == text.split()
    assert ids.shape == (LENGTH,)
    assert np.all(ids[5:] == tokens.PAD_ID)


@given(
    case=st.sampled_from([str.upper, str.title, str.lower]),
    left=st.text(" ,.!?-\t", max_size=3),
    right=st.text(" ,.!?-\t", max_size=3),
)
def test_case_and_punctuation_do_not_matter(tokenizer, case, left, right):
    plain = tokens.encode(tokenizer, ["go to the blue block"])
    written = tokens.encode(tokenizer, [left + case("go to, the blue block") + right])
    assert np.array_equal(plain, written)


@given(text=st.text(max_size=200))
def test_any_text_gives_a_full_row_of_known_ids(tokenizer, text):
    ids = tokens.encode(tokenizer, [text])
    assert ids.shape == (1, LENGTH)
    assert np.all((ids >= 0) & (ids < tokenizer.get_vocab_size()))


def test_the_file_carries_the_whole_tokenizer(tokenizer, tmp_path):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    loaded = tokens.Tokenizer.from_file(str(path))
    texts = ["Reach the RED cube!", "", "a " * 40]
    assert np.array_equal(tokens.encode(tokenizer, texts), tokens.encode(loaded, texts))


def test_drawing_is_decided_by_the_generator():
    drawn = [sentences.sentence(np.random.default_rng(5), colour, "held_out") for colour in COLOURS]
    assert drawn == [
        sentences.sentence(np.random.default_rng(5), colour, "held_out") for colour in COLOURS
    ]
