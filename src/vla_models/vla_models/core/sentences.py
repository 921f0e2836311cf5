"""Instructions: templates and synonyms, with a held-out split that training never sees.

A sentence names one cube by its colour. ``TRAIN`` wordings are used to train; ``HELD_OUT``
wordings (other templates, other verbs and nouns, some of them unknown to the tokenizer) are used
by evaluation only. ``HOLD`` sentences name no cube that exists: the arm is to stay where it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from vla_sim.core.task import COLOURS


@dataclass(frozen=True, slots=True)
class Wordings:
    """Templates with the fields {verb}, {colour} and {noun}, and what may stand in them."""

    templates: tuple[str, ...]
    verbs: tuple[str, ...]
    nouns: tuple[str, ...]

    def sentence(self, rng: np.random.Generator, colour: str) -> str:
        """Draw one sentence that names ``colour``."""
        template = self.templates[rng.integers(len(self.templates))]
        verb = self.verbs[rng.integers(len(self.verbs))]
        noun = self.nouns[rng.integers(len(self.nouns))]
        return template.format(verb=verb, colour=colour, noun=noun)


TRAIN: Final = Wordings(
    templates=(
        "{verb} the {colour} {noun}",
        "{verb} {colour} {noun}",
        "{verb} the {colour} one",
        "please {verb} the {colour} {noun}",
        "{verb} the {colour} {noun} please",
        "now {verb} the {colour} {noun}",
        "can you {verb} the {colour} {noun}",
        "could you {verb} the {colour} {noun} now",
        "robot {verb} the {colour} {noun}",
        "move the arm to the {colour} {noun}",
        "move the gripper over the {colour} {noun}",
        "put the hand above the {colour} {noun}",
        "the {colour} {noun}",
        "the {colour} one please",
        "{colour} {noun}",
        "{colour}",
    ),
    verbs=(
        "reach",
        "reach for",
        "go to",
        "move to",
        "touch",
        "approach",
        "point at",
        "hover over",
        "get to",
    ),
    nouns=("cube", "block", "box", "object"),
)

HELD_OUT: Final = Wordings(
    templates=(
        "{verb} the {colour} {noun}",
        "i want you to {verb} the {colour} {noun}",
        "would you kindly {verb} that {colour} {noun}",
        "now please {verb} the {colour} {noun} with the gripper",
        "the {noun} to {verb} is the {colour} one",
        "bring your hand to the {noun} that is {colour}",
        "{colour} please",
    ),
    verbs=("head for", "travel to", "go over to", "drive towards", "reach out to"),
    nouns=("cube", "brick", "die", "little cube", "square block"),
)

HOLD: Final = (
    "",
    "stop",
    "wait",
    "stay",
    "hold still",
    "do not move",
    "the cube",
    "reach the cube",
    "reach the yellow cube",
    "go to the purple block",
    "touch the white box please",
    "move to the black one",
    "approach the orange object",
)

SPLITS: Final = {"train": TRAIN, "held_out": HELD_OUT}


def words() -> tuple[str, ...]:
    """Return the training vocabulary, sorted; words of held-out wordings are not in it.

    The colours that ``HOLD`` sentences name stay unknown words, as any other colour will be.
    """
    texts = [*TRAIN.templates, *TRAIN.verbs, *TRAIN.nouns, *HOLD]
    found = {word for text in texts for word in text.split() if not word.startswith("{")}
    unknown = {"yellow", "purple", "white", "black", "orange"}
    return tuple(sorted((found - unknown) | set(COLOURS)))


def sentence(rng: np.random.Generator, colour: str, split: str = "train") -> str:
    """Draw one sentence of ``split`` ("train" or "held_out") that names ``colour``."""
    return SPLITS[split].sentence(rng, colour)


def every(split: str) -> tuple[tuple[str, str], ...]:
    """Return every different (sentence, colour) of a split."""
    w = SPLITS[split]
    found = {
        (t.format(verb=v, colour=c, noun=n), c)
        for t in w.templates
        for v in w.verbs
        for n in w.nouns
        for c in COLOURS
    }
    return tuple(sorted(found))
