"""The motion log holds every control cycle."""

import numpy as np

from vla_sim.core.motion_log import MotionLog, header


def test_every_row_is_written(tmp_path):
    log = MotionLog(tmp_path / "new" / "arm.csv", ("a", "b"))
    for i in range(50):
        log.add(i, *(np.array([i, k], float) for k in range(4)))
    log.close()
    log.close()
    lines = (tmp_path / "new" / "arm.csv").read_text().splitlines()
    assert lines[0] == header(("a", "b"))
    table = np.loadtxt(lines[1:], delimiter=",")
    assert table.shape == (50, 9)
    assert table[49].tolist() == [49, 49, 0, 49, 1, 49, 2, 49, 3]
