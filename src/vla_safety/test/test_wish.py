"""What velocity the limiter wants: the plan's, the way back to it, and room to stop at its end."""

from math import exp, inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_safety.core.compiled import plain
from vla_safety.core.limiter import Law, Rows, wish


def law(n, *, approach, v_max=inf, arm=None, **changes):
    """Return a law that limits nothing but the approach."""
    row = {key: [inf] * n for key in Law._fields}
    row |= {"approach": [approach] * n, "v_max": [v_max] * n, "arm": arm or [1.0] * n}
    return Law(**{key: plain(np.array(value)) for key, value in (row | changes).items()})


def wanted(a_law, step, q, v, ref_q, ref_v, k=0, scale=1.0):
    """Return what is wanted of each joint, from row ``k`` to the next."""
    rows = (np.array([x] * (k + 1)) for x in (q, v))
    to = Rows(*map(plain, (*rows, *np.zeros((3, len(q))))))
    wish(a_law, step, to, k, *(plain(np.array(ref)) for ref in (ref_q, ref_v)), scale)
    return list(to.want)


def way_to_stop(speed, a, dt):
    """Return how far a joint goes that keeps ``speed`` for half a step and then brakes with a."""
    return speed * dt / 2 + speed * speed / (2 * a)


sizes = st.floats(1e-6, 3.0)
grids = st.sampled_from([0.005, 0.01, 0.05])
signs = st.sampled_from([-1.0, 1.0])


@given(sizes, st.floats(0.1, 50.0), grids, signs)
def test_far_from_the_end_it_is_as_fast_as_can_stop_there(error, a, dt, sign):
    most = 0.25 / dt  # [1/s] full damping: the spring alone
    (found,) = wanted(
        law(1, approach=a * dt), (dt, most, 1.0), [0.4], [0.0], [[0.4 + sign * error]], [[0.0]] * 2
    )
    assert found * sign > 0.0
    speed = abs(found)
    assert speed <= most * error * (1 + 1e-9)
    assert way_to_stop(speed, a, dt) <= error * (1 + 1e-9)
    # ... and no slower than one of the two asks for
    as_spring = speed == pytest.approx(most * error, rel=1e-9)
    assert as_spring or way_to_stop(speed, a, dt) == pytest.approx(error, rel=1e-9)


@given(sizes, sizes, st.floats(0.1, 50.0), grids)
def test_the_arm_goes_straight_and_its_gripper_on_its_own(one, two, a, dt):
    most = 0.25 / dt
    ref = [[one, -two, 3.0]]
    found = wanted(
        law(3, approach=a * dt, arm=[1.0, 1.0, 0.0]),
        (dt, most, 1.0), [0.0] * 3, [0.0] * 3, ref, [[0.0] * 3] * 2,
    )  # fmt: skip
    assert found[0] * -two == pytest.approx(found[1] * one, rel=1e-9)
    further = max(one, two)
    speed = max(abs(found[0]), abs(found[1]))
    assert way_to_stop(speed, a, dt) <= further * (1 + 1e-9)
    alone = wanted(law(1, approach=a * dt), (dt, most, 1.0), [0.0], [0.0], [[3.0]], [[0.0]] * 2)
    assert found[2] == pytest.approx(alone[0], rel=1e-12)


@given(st.lists(st.floats(-2.0, 2.0), min_size=4, max_size=4), st.floats(0.1, 1.0), grids)
def test_on_the_plan_it_wants_the_plans_next_velocity(speeds, damping, dt):
    rows = [[0.3]] * 4
    for k in range(3):
        found = wanted(
            law(1, approach=1.0 * dt), (dt, 0.25 * damping / dt, damping),
            [0.3], [speeds[k]], rows, [[speed] for speed in speeds], k,
        )  # fmt: skip
        assert found == pytest.approx([speeds[k + 1]])


def test_an_error_dies_out_critically_damped():
    """x(t) = e (1 + w t) exp(-w t), beside a plan that moves on evenly."""
    dt, follow, error, speed = 0.001, 0.08, 0.01, 0.2
    gain = 0.5 / follow
    step, w = (dt, gain, 4.0 * gain * dt), 1.0 / follow
    q, v = error, speed
    for k in range(400):
        ref = k * dt * speed
        assert q - ref == pytest.approx(error * (1 + w * k * dt) * exp(-w * k * dt), abs=2e-4)
        (new,) = wanted(law(1, approach=1e6 * dt), step, [q], [v], [[ref]], [[speed]] * 2)
        q, v = q + (v + new) * dt / 2, new


@given(sizes, st.floats(0.1, 3.0), st.floats(0.05, 1.0), signs)
def test_no_faster_than_its_share_of_the_limit(error, v_max, scale, sign):
    found = wanted(
        law(2, approach=0.5, v_max=v_max), (0.01, 25.0, 1.0), [0.0] * 2, [0.0] * 2,
        [[sign * error, 2.0 * error]], [[0.0] * 2] * 2, scale=scale,
    )  # fmt: skip
    assert abs(found[1]) <= scale * v_max * (1 + 1e-12)
    assert 2.0 * sign * found[0] == pytest.approx(found[1])


@given(st.floats(0.0, 0.9), st.floats(0.5, 20.0), signs)
def test_soft_limits_are_neared_more_slowly_and_left_freely(room, k_soft, sign):
    inside = {"k_soft": [k_soft], "soft_low": [-0.5], "soft_high": [0.5]}
    q = sign * (0.5 - room)
    towards, away = (
        wanted(
            law(1, approach=10.0, **inside), (0.01, 25.0, 1.0), [q], [0.0],
            [[q + 9.0 * way]], [[0.0]] * 2,
        )[0]
        for way in (sign, -sign)
    )  # fmt: skip
    assert 0.0 <= towards * sign == pytest.approx(k_soft * room, abs=1e-12)
    assert away * sign == pytest.approx(k_soft * (room - 1.0), abs=1e-12)
