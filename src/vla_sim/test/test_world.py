"""World: real-time stepping, scenes by seed, resets that leave the arm where it is."""

import numpy as np

from vla_sim.core.arm import HOME_Q
from vla_sim.core.joint_trajectory import Point, Trajectory
from vla_sim.core.scene import Scene
from vla_sim.core.world import MAX_STEP_NS, World

TICK = 10_000_000
S = 1_000_000_000


def move(world, q, seconds, now_ns):
    goal = Trajectory(Scene.JOINTS, (Point(round(seconds * 1e9), np.array(q), np.zeros(8)),))
    assert world.controller.command(goal, now_ns) == ""


def run(world, seconds, now_ns):
    for _ in range(round(seconds * 100)):
        now_ns += TICK
        cycle = world.cycle(now_ns)
    return now_ns, cycle


def test_the_arm_begins_at_rest_at_home_and_stays():
    _, cycle = run(World(0), 0.5, S)
    np.testing.assert_allclose(cycle.q, HOME_Q, atol=2e-3)
    assert np.abs(cycle.dq).max() < 1e-2


def test_the_arm_follows_a_trajectory_and_peaks_are_recorded():
    world = World(0)
    now, _ = run(world, 0.1, S)
    goal = HOME_Q + np.array([0.3, 0.2, -0.1, 0.2, 0.1, -0.2, 0.3, 0.02])
    move(world, goal, 1.0, now)
    _, cycle = run(world, 1.6, now)
    np.testing.assert_allclose(cycle.q, goal, atol=5e-3)
    np.testing.assert_allclose(world.peaks.velocity[0], 1.5 * 0.3, rtol=0.02)  # cubic
    np.testing.assert_allclose(world.peaks.acceleration[0], 6 * 0.3, rtol=0.1)


def test_the_same_seed_gives_the_same_motion_and_scene():
    worlds = [World(11), World(11), World(12)]
    ends = []
    for world in worlds:
        move(world, HOME_Q + 0.1 * np.array([1, 1, 1, 1, 1, 1, 1, 0.1]), 0.3, S)
        run(world, 0.5, S)
        ends.append(world.snapshot())
    np.testing.assert_array_equal(ends[0], ends[1])
    assert not np.array_equal(ends[0], ends[2])


def test_missed_cycles_are_made_up_for_but_a_long_stall_is_not():
    world = World(0, TICK)
    world.cycle(S)
    begun = world.scene.time
    world.cycle(S + 3 * TICK)
    np.testing.assert_allclose(world.scene.time - begun, 0.03)
    world.cycle(100 * S)
    np.testing.assert_allclose(world.scene.time - begun, 0.03 + MAX_STEP_NS * 1e-9)
    world.suspend()
    world.cycle(500 * S)
    np.testing.assert_allclose(world.scene.time - begun, 0.04 + MAX_STEP_NS * 1e-9)


def test_reset_places_the_cubes_by_seed_and_leaves_the_arm():
    world = World(1)
    now, _ = run(world, 0.1, S)
    move(world, HOME_Q + np.array([0.3, 0, 0, 0, 0, 0, 0, 0.0]), 1.0, now)
    now, before = run(world, 0.5, now)
    assert world.reset(33, now) == ""
    _, after = run(world, 0.01, now)
    assert np.abs(after.q - before.q).max() < 0.02  # goes on moving, does not jump
    np.testing.assert_allclose(after.dq, before.dq, atol=0.1)
    fresh = Scene(16, seed=33)
    for colour, top in fresh.cubes().items():
        np.testing.assert_allclose(world.scene.cubes()[colour], top, atol=1e-3)
    assert world.task(now).seed == 33


def test_reset_refuses_to_place_a_cube_into_the_arm_and_changes_nothing():
    world = World(1)
    seed, top = 5, Scene(16, seed=5).cubes()["green"]
    world.scene.data.qpos[:9] = np.append(*_pose_at(world.scene, top - np.array([0, 0, 0.02])))
    before = world.snapshot()
    assert "the green cube" in world.reset(seed, S)
    np.testing.assert_array_equal(world.snapshot(), before)
    assert "seed = -1" in world.reset(-1, S)


def _pose_at(scene, position):
    """Return joints (8,) and the mirrored finger that bring the tool centre point to a place."""
    from vla_sim.core.arm import jacobian

    q = HOME_Q.copy()
    for _ in range(200):
        tip, jac = jacobian(q)
        error = np.concatenate([position - tip[:3, 3], np.zeros(3)])
        q[:7] += np.linalg.pinv(jac, rcond=1e-3) @ error
    return q, q[7]


def test_task_counts_successes_across_resets_and_times_from_the_instruction():
    world = World(5)
    world.instruct("reach the green cube", S)
    top = world.scene.cubes()["green"]
    q, _ = _pose_at(world.scene, top + np.array([0, 0, 0.012]))
    world.scene.set_joints(q)
    assert world.task(S).status.target == "green"
    view = world.task(S + 600_000_000)
    assert view.status.success
    assert (view.successes, view.reached) == (1, "green")
    np.testing.assert_allclose(view.elapsed, 0.6)
    world.scene.set_joints(HOME_Q)
    assert world.reset(6, 2 * S) == ""
    view = world.task(2 * S)
    assert (view.successes, view.reached, view.status.success) == (1, "", False)
    world.instruct("now the blue block", 3 * S)
    view = world.task(4 * S)
    assert view.status.target == "blue"
    np.testing.assert_allclose(view.elapsed, 1.0)
    assert "now the blue block" in world.caption(4 * S)
