"""Every family that knows an answer, on every engine it claims: the engine must give it."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from simgen.engines import simulate
from simgen.families import FAMILIES, family
from simgen.families.pendulum import Swinging
from simgen.families.spinning_top import Top, shaped
from simgen.laws import crossings, energy_gain, impacts, momentum_drift, parabola_error_m

TABLE = Path(__file__).parents[2] / "docs" / "laws.md"
LAWFUL = [name for name in sorted(FAMILIES) if hasattr(family(name), "laws")]
ENGINES, EPISODES = ("bullet", "mujoco"), 8  # as docs/laws.py has them
CASES = [(name, engine) for name in LAWFUL for engine in family(name).engines]


def sample(name, seed, *, frames=64, **parameters):
    made = family(name)
    rng = np.random.default_rng([0, seed])
    return made.sample(made.Parameters(**parameters), rng, frames=frames, frame_rate_hz=24.0)


def passes(law):
    return abs(law.measured - law.expected) <= law.tolerance  # NaN does not


def rows_of_the_table():
    """(family, law, engine) -> errors, tolerances and shares as docs/laws.md has them."""
    cells = [[cell.strip() for cell in line.split("|")] for line in TABLE.read_text().splitlines()]
    return {(c[1], c[2], c[3]): c[4:] for c in cells if len(c) > 12 and c[3] in ENGINES}


@pytest.mark.parametrize(("name", "engine"), CASES)
def test_the_engine_gives_the_textbook_answer(name, engine):
    """Every law of the table on its episodes, the first two and on until all were measured."""
    made, found = family(name), []
    table = {law for row, law, on in rows_of_the_table() if (row, on) == (name, engine)}
    for seed in range(EPISODES):
        scene = sample(name, seed)
        found += made.laws(scene, simulate(scene, engine))
        if seed > 0 and {law.name for law in found} >= table:
            break
    assert {law.name.replace("|", "/") for law in found} == table, "run python docs/laws.py"
    wrong = [law for law in found if not passes(law)]
    assert not wrong


def test_the_table_names_no_family_or_engine_that_is_gone():
    assert {(name, engine) for name, _, engine in rows_of_the_table()} == set(CASES)


def test_every_error_of_the_table_stands_beside_its_own_tolerance():
    for row, (_, _, worst, tolerance, used, measured, expected, *_) in rows_of_the_table().items():
        share = float(used.removesuffix("%")) / 100
        assert share <= 1.0, row
        assert float(worst) / float(tolerance) == pytest.approx(share, rel=0.1, abs=0.006), row
        gap = abs(float(measured) - float(expected))
        rounding = 1e-4 * abs(float(expected)) + 1e-12
        assert gap == pytest.approx(float(worst), rel=0.06, abs=rounding), row


def broken(motion, **changes):
    return replace(motion, **changes)


def test_a_drop_that_falls_too_slowly_bounces_too_high_and_pushes_too_little_is_seen():
    scene, made = sample("drop", 4, balls=(1, 1)), family("drop")
    motion = simulate(scene, "bullet")
    assert all(passes(law) for law in made.laws(scene, motion))
    touches = motion.contacts.copy()
    touches["impulse_ns"] *= 1.05
    weak = made.laws(scene, broken(motion, contacts=touches))
    assert [law.name for law in weak if not passes(law)] == ["impulse / momentum change"]
    late = motion.contacts.copy()
    late["start_s"] += 0.01
    late["end_s"] += 0.01
    wrong = [law.name for law in made.laws(scene, broken(motion, contacts=late)) if not passes(law)]
    assert "fall time" in wrong


def test_a_turn_or_a_push_in_mid_air_is_seen():
    scene = sample("box_bounce", 0, boxes=(1, 1))
    motion = simulate(scene, "bullet")
    assert momentum_drift(scene, motion, 1) < 0.01
    assert parabola_error_m(scene, motion, 1) < 0.003
    assert energy_gain(scene, motion) < 0.01
    turning = motion.angular_velocity.copy()
    turning[3:] *= 1.1
    assert momentum_drift(scene, broken(motion, angular_velocity=turning), 1) > 0.05
    place = motion.centre_of_mass.copy()
    place[3:6, 1, 0] += 0.02
    assert parabola_error_m(scene, broken(motion, centre_of_mass=place), 1) > 0.01
    more = motion.kinetic_energy_j.copy()
    more[4:] *= 1.5
    assert energy_gain(scene, broken(motion, kinetic_energy_j=more)) > 0.02


def test_impacts_are_those_between_two_flights():
    scene = sample("drop", 4, balls=(1, 1), restitution=(0.7, 0.7), gravity_m_s2=[(9.8, 9.8)])
    hits = impacts(scene, simulate(scene, "bullet"), 1)
    height = scene.bodies[1].position[2] - scene.bodies[1].geoms[0].size[0]
    assert hits[0].before[2] == pytest.approx(-math.sqrt(2 * 9.8 * height), rel=0.01)
    assert len(hits) >= 2
    for hit, after in pairwise(hits):
        assert hit.after[2] == pytest.approx(-after.before[2], rel=0.02)


def test_crossings_are_exact_for_cubics():
    t = np.linspace(-1.05, 2.0, 7)
    roots = crossings(t, t**3 - t, 3 * t**2 - 1)
    np.testing.assert_allclose(roots, [-1.0, 0.0, 1.0], atol=1e-12)


def test_small_swings_have_the_period_of_a_compound_pendulum():
    book = Swinging(inertia=2.0, moment=8.0)
    assert book.period_s(1e-4) == pytest.approx(2 * math.pi * 0.5)
    assert book.period_s(math.pi / 2) == pytest.approx(1.18034 * math.pi, rel=1e-5)
    # far above the top it turns at its entry speed w = 2 sqrt(e moment / inertia)
    assert book.turn_s(1e4) == pytest.approx(2 * math.pi / (2 * math.sqrt(1e4 * 4.0)), rel=1e-4)


def test_a_fast_top_precesses_by_the_simple_formula():
    top = Top.of(shaped(0.2, 0.15, 0.05, 700.0, "red"), 9.8)
    spin = 50 * top.least_spin(0.3)
    simple = top.pull / (top.spinning * spin)
    assert top.precession(spin, 0.3) == pytest.approx(simple, rel=1e-3)
    slow = 1.001 * top.least_spin(0.3)
    assert top.precession(slow, 0.3) > 1.8 * top.pull / (top.spinning * slow)
