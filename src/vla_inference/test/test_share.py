"""What computes much asks for a larger share of a busy CPU, and for no real-time priority."""

from __future__ import annotations

import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "vla_camera.node",
        "vla_features.node",
        "vla_inference.node",
        "vla_inference.pipeline",
    ],
)
def test_it_asks_for_a_share(monkeypatch, module):
    asked = []
    program = importlib.import_module(module)
    monkeypatch.setattr(program, "run", lambda _, **how: asked.append(how) or 0)
    assert program.main() == 0
    assert asked == [{"share": True}]
