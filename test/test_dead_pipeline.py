"""The pipeline dies while the arm moves. A file of its own, so that one graph runs at a time."""

from __future__ import annotations

from harness import Graph, assert_within_limits
from test_faults_below import stays
from test_whole_graph import tell

DOMAIN = 63


def test_pipeline_killed():
    with Graph(DOMAIN) as running:
        running.wait_active(60.0)
        tell(running, "reach the green cube")
        running.wait(lambda: running.watcher.speed() > 0.15, 20.0, "the arm moving")
        fault = running.kill("pipeline")
        running.wait(lambda: running.watcher.state == "HOLD", 1.0, "gate in HOLD")
        held = (running.watcher.states[-1][0] - fault) * 1e-9
        print(f"hold after {held * 1e3:.0f} ms")
        assert held <= 0.160
        stays(running)
        assert_within_limits(running.watcher.after(fault - 10**9), running.robot)
