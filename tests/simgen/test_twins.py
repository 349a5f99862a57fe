"""Twins: one change from one frame on, the same bytes before it, and the difference it makes."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from simgen.captions.facts import gather
from simgen.captions.records import recorded
from simgen.delays import Delayed
from simgen.episode import Episode, make_episode, stage
from simgen.events import APEX_RISE_M, apexes
from simgen.forks import touches
from simgen.hiding import SHORTEST, SLIVER, drawn, hidings, seam
from simgen.impossible import ABSENT, placed
from simgen.motion import Change, Motion, SimulationError, absent
from simgen.recipe import Recipe, RecipeError, load
from simgen.store.arrays import stored_arrays
from simgen.store.layout import array_specs
from simgen.twins import SHOWN_PX, changed

SMALL = {"frames": 40, "frame_rate_hz": 24.0, "height": 48, "width": 48}


def recipe(family: str, engine: str, twins: list[dict], **scene) -> Recipe:
    table = {"family": family, "engine": engine, "twins": twins, **scene}
    tables = {"name": "twins", "episodes": 8, "video": SMALL, "splits": {"train": 1.0},
              "state_every": 4, "scene": [table]}  # fmt: skip
    return Recipe.model_validate_json(json.dumps(tables))


def group(made: Recipe, number: int = 0) -> list[Episode]:
    size = made.group_size
    return [make_episode(made, number * size + i) for i in range(size)]


@pytest.fixture(scope="module", params=["bullet", "mujoco"])
def balls(request) -> list[Episode]:
    changes = [
        {"change": "mass", "factor": [5.0, 5.0]},
        {"change": "speed", "factor": [0.5, 0.5]},
        {"change": "gravity", "factor": [0.0, 0.0]},
        {"change": "remove"},
    ]
    parameters = {"bodies": [4, 4], "restitution": [0.9, 0.9]}
    return group(recipe("bouncing_balls", request.param, changes, parameters=parameters))


def arrays(made: Recipe, episode: Episode) -> dict[str, np.ndarray]:
    """What the store keeps of an episode, the rows of the bodies that it has."""
    bodies = len(episode.scene.bodies)
    specs = array_specs(made, made.assign(episode.index).bucket)
    return {
        name: array[tuple(slice(bodies if dim == "body" else None) for dim in specs[name].dims)]
        for name, array in stored_arrays(episode, specs)
        if specs[name].dims[0] == "time"
    }


def assert_same_before(made: Recipe, original: Episode, twin: Episode) -> None:
    """Every stored array has the original's bytes before the change, but flow into it."""
    here, there = arrays(made, original), arrays(made, twin)
    assert len(here) >= 18
    assert here.keys() == there.keys()
    bodies = len(original.scene.bodies)
    for name, array in here.items():
        stop = twin.change.frame - (name == "flow")
        other = there[name]
        if other.shape != array.shape:  # one body more
            other = other[:, :bodies]
        assert array[:stop].tobytes() == other[:stop].tobytes(), name
    early = original.motion.state_frames < twin.change.frame
    kept = twin.motion.state_frames < twin.change.frame
    assert early.any()
    assert np.array_equal(original.motion.state[early], twin.motion.state[kept])


def part(original: Episode, twin: Episode, rows: list[int]) -> tuple[int, int]:
    """First frames in which poses of the bodies differ at all, and by 1 mm or 0.01 rad."""
    one, other = original.motion, twin.motion
    any_frame, far_frame = -1, -1
    for frame in reversed(range(original.scene.frames)):
        for row in rows:
            a, b = one.position[frame, row], other.position[frame, row]
            p, q = one.quaternion[frame, row], other.quaternion[frame, row]
            if a.tobytes() != b.tobytes() or p.tobytes() != q.tobytes():
                any_frame = frame
            w = min(abs(float(p @ q)), 1.0)
            if np.sqrt(((a - b) ** 2).sum()) > 1e-3 or w < np.cos(0.005):
                far_frame = frame
    return any_frame, far_frame


def assert_frames_true(original: Episode, twin: Episode) -> None:
    change, rows = twin.change, list(range(len(original.scene.bodies)))
    others = [row for row in rows if original.scene.bodies[row].name != change.body]
    found = (change.diverges_frame, change.diverges_1mm_frame)
    assert found == part(original, twin, rows)
    assert change.others_diverge_frame == part(original, twin, others)[0]
    assert change.frame <= change.diverges_frame <= change.diverges_1mm_frame
    differs = (original.frames["rgb"] != twin.frames["rgb"]).any(axis=(1, 2, 3))
    assert not differs[: change.diverges_frame].any()
    assert differs[change.diverges_frame :].any()


def test_before_the_change_the_bytes_are_the_originals(balls):
    original, *twins = balls
    assert original.change is None
    made = recipe("bouncing_balls", original.engine, [], parameters={"bodies": [4, 4]})
    for twin in twins:
        assert not twin.reasons
        assert 0 < twin.change.frame < SMALL["frames"]
        assert_same_before(made, original, twin)


def test_a_twin_says_where_it_diverges(balls):
    original, *twins = balls
    for twin in twins:
        assert_frames_true(original, twin)


@pytest.mark.parametrize("engine", ["bullet", "mujoco"])
def test_a_change_to_the_same_changes_nothing(engine):
    once = [1.0, 1.0]
    twins = [{"change": name, "factor": once} for name in ("mass", "speed", "gravity")]
    parameters = {"bodies": [5, 5], "restitution": [0.9, 0.9]}
    original, *others = group(recipe("bouncing_balls", engine, twins, parameters=parameters))
    late = original.motion.contacts["end_s"] > others[0].change.frame / 24
    assert late.sum() >= 5  # the contact cache matters
    for twin in others:
        assert (twin.change.diverges_frame, twin.change.diverges_1mm_frame) == (-1, -1)
        assert not [e for e in twin.truth.events if e.kind == "change"]
        assert twin.captions["timeline"] == original.captions["timeline"]
        for name in ("position", "quaternion", "velocity", "kinetic_energy_j"):
            one, other = getattr(original.motion, name), getattr(twin.motion, name)
            assert np.array_equal(one, other)


def test_another_mass_is_given_where_something_is_hit(balls):
    original, mass, *_ = balls
    row = mass.scene.body_index(mass.change.body)
    assert 0 <= mass.change.others_diverge_frame < SMALL["frames"]
    free = {i for i, body in enumerate(original.scene.bodies) if body.motion == "free"}
    touch = original.motion.contacts
    late = touch[touch["end_s"] > mass.change.frame / 24]
    met = [{int(t["body_a"]), int(t["body_b"])} for t in late]
    assert any(row in pair and pair <= free for pair in met)


def test_a_change_is_drawn_until_people_see_it():
    changes = [{"change": "mass", "factor": [3.0, 6.0], "at": [0.1, 0.3]}]
    made = recipe("bouncing_balls", "mujoco", changes, parameters={"bodies": [5, 6]})
    for number in range(3):
        original, twin = group(made, number)
        one, other = (clip.truth.track for clip in (original, twin))
        assert np.nanmax(np.abs(one - other)) > SHOWN_PX / 2


def test_a_mass_that_nothing_feels_is_refused(tmp_path):
    path = tmp_path / "recipe.toml"
    twins = "[[scene]]\nfamily = 'rolling'\ntwins = [{ change = 'mass' }]"
    path.write_text(f"name = 'alone'\n{twins}\n")
    with pytest.raises(RecipeError, match="moves in the same way at any mass; it can have: speed"):
        load(path)


def test_bodies_that_never_meet_have_no_twin_of_another_mass():
    parameters = {"bodies": [2, 2], "width_m": 6.0, "speed_m_s": [0.1, 0.2]}
    changes = [{"change": "mass", "factor": [5.0, 5.0]}]
    twin = make_episode(recipe("bouncing_balls", "mujoco", changes, parameters=parameters), 1)
    assert "no body for change 'mass' that meets another" in twin.reasons[0]


def test_the_change_is_the_one_that_was_asked_for(balls):
    original, mass, speed, gravity, removed = balls
    row = original.scene.body_index(mass.change.body)
    assert mass.scene.bodies[row].mass_kg == pytest.approx(5 * original.scene.bodies[row].mass_kg)
    row, frame = original.scene.body_index(speed.change.body), speed.change.frame
    before = original.motion.velocity[frame, row]
    assert speed.motion.velocity[frame, row] == pytest.approx(0.5 * before)
    frame = gravity.change.frame
    for episode, falls in ((original, True), (gravity, False)):
        free = [i for i, body in enumerate(episode.scene.bodies) if body.motion == "free"]
        step = np.diff(episode.motion.velocity[frame : frame + 2, free, 2], axis=0)
        assert np.isclose(step, -9.81 / 24).any() == falls  # one at least touches nothing
    row, frame = original.scene.body_index(removed.change.body), removed.change.frame
    assert (removed.truth.area[frame:, row] == 0).all()
    energy = removed.motion.kinetic_energy_j + removed.motion.potential_energy_j
    assert energy[frame] < energy[frame - 1]
    late = removed.motion.contacts["start_s"] > (frame + 1) / 24
    touching = removed.motion.contacts[late]
    assert row not in {*touching["body_a"], *touching["body_b"]}


def test_a_change_is_an_event_of_its_twin(balls):
    for episode in balls[1:]:
        (event,) = [e for e in episode.truth.events if e.kind == "change"]
        assert event.value == episode.change.kind
        assert event.start_s == episode.change.frame / 24


def test_a_release_comes_later_by_the_delay():
    seen = object()
    from simgen.scene import Command

    def script(frame, _):
        return Command(np.zeros(1), {"grip": 0.01} if frame == 3 else {})

    late = Delayed(script, delay_s=0.06, frame_s=0.04)
    commands = [late(frame, seen) for frame in range(8)]
    released = {i: c.releases for i, c in enumerate(commands) if c.releases}
    assert list(released) == [4]
    assert released[4]["grip"] == pytest.approx(0.03)


def test_a_later_release_makes_another_flight():
    table = load("datasets/high_bar/recipe.toml").scene[0]
    scene = {"parameters": table.parameters, "camera": {"azimuth_deg": [-90, -90]}}
    twins = [{"change": "release", "delay_s": [0.06, 0.06]}]
    made = recipe("high_bar", "mujoco", twins, **scene)
    made = made.model_copy(update={"video": made.video.model_copy(update={"frames": 96})})
    original, late = group(made)
    at = [next(e.start_s for e in twin.truth.events if e.kind == "release")
          for twin in (original, late)]  # fmt: skip
    assert at[1] - at[0] == pytest.approx(0.06, abs=1e-6)
    assert late.change.diverges_frame >= late.change.frame


def test_a_touch_through_the_change_is_one():
    dtype = group(recipe("bouncing_balls", "mujoco", []))[0].motion.contacts.dtype
    before, after = np.zeros(2, dtype), np.zeros(2, dtype)
    before["body_b"], after["body_b"] = (1, 2), (1, 3)
    before["end_s"], before["start_s"] = (1.0, 0.5), (0.2, 0.1)
    after["start_s"], after["end_s"] = (1.0, 1.5), (2.0, 1.6)
    before["impulse_ns"], after["impulse_ns"] = (2.0, 1.0), (3.0, 4.0)
    both = touches(before, after)
    assert both["start_s"].tolist() == [0.1, 0.2, 1.5]
    assert both["impulse_ns"].tolist() == [1.0, 5.0, 4.0]


def test_twins_share_a_split_and_a_seed_but_for_the_impossible():
    made = recipe("permanence", "mujoco", [{"change": "gravity"}, {"change": "vanish"}])
    at = [made.assign(i) for i in range(6)]
    assert [a.group for a in at] == [0, 0, 0, 1, 1, 1]
    assert [a.variant for a in at] == [0, 1, 2, 0, 1, 2]
    assert [a.split for a in at[:3]] == ["train", "train", "impossible"]
    assert at[2].drawn_split == "train"
    assert made.rng(0).integers(1000) == made.rng(2).integers(1000)


def test_scenes_with_other_numbers_of_twins_are_refused(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(
        'name = "uneven"\n[[scene]]\nfamily = "bouncing_balls"\n'
        'twins = [{ change = "gravity" }]\n[[scene]]\nfamily = "bouncing_balls"\n'
    )
    with pytest.raises(RecipeError, match="0 twins where scene 0 has 1"):
        load(path)


IMPOSSIBLE = {
    "emerge": ({"act": "emerge", "screens": 2, "hidden_s": [0.35, 0.35],
                "screen_widths": [1.8, 1.8]},
               ("vanish", "teleport")),
    "reverse": ({"act": "reverse"}, ("recolour", "pass_through")),
}  # fmt: skip


@pytest.mark.parametrize("act", IMPOSSIBLE)
def test_what_no_physics_makes_happens_out_of_sight(act):
    parameters, changes = IMPOSSIBLE[act]
    camera = {"azimuth_deg": [-90, -90], "elevation_deg": [8, 8]}
    made = recipe("permanence", "mujoco", [{"change": c} for c in changes],
                  parameters=parameters, camera=camera,
                  look={"sun_azimuth_deg": [-90, -90]})  # fmt: skip
    larger = {"frames": 64, "height": 96, "width": 96}
    made = made.model_copy(update={"video": made.video.model_copy(update=larger)})
    original, *twins = group(made)
    for twin in twins:
        assert not twin.reasons
        assert twin.split == "impossible"
        frame = twin.change.frame
        row = twin.scene.body_index(twin.change.body)
        assert (original.truth.area[frame - 1 : frame + 1, row] == 0).all()
        assert_same_before(made, original, twin)
        assert_frames_true(original, twin)
        assert_seamless(original, twin)
        later = slice(frame + 1, None)
        assert not np.array_equal(original.frames["rgb"][later], twin.frames["rgb"][later])
        assert twin.motion.state_frames.max() < frame
        seen = {e.kind for e in twin.truth.events}
        assert "change" in seen
    if act == "emerge":
        vanished, jumped = twins
        assert (vanished.truth.area[vanished.change.frame :, -1] == 0).all()
        x = jumped.motion.position[:, -1, 0]
        step = np.abs(np.diff(x))
        assert step[jumped.change.frame - 1] > 5 * np.median(step)
    else:
        double, ghost = twins
        assert len(double.scene.bodies) == len(original.scene.bodies) + 1
        shown = double.scene.bodies[-1].geoms[0].material.colour
        assert shown != original.scene.bodies[-1].geoms[0].material.colour
        start, end = ghost.motion.position[[0, -1], -1, 0]
        assert start * end < 0  # beyond the wall


def test_without_an_occluder_nothing_impossible_can_hide():
    made = recipe("bouncing_balls", "mujoco", [{"change": "vanish"}])
    twin = make_episode(made, 1)
    assert "needs an occluder" in twin.reasons[0]


def assert_seamless(original: Episode, twin: Episode) -> None:
    """Until the thing is due to be seen in either clip, both pictures are the same."""
    frame, row = twin.change.frame, twin.scene.body_index(twin.change.body)
    seen = (original.truth.area[:, row] > 0) | (twin.truth.area[:, row] > 0)
    seen |= (twin.truth.area[:, len(original.scene.bodies) :] > 0).any(axis=1)
    due = frame + int(seen[frame:].argmax())
    assert due >= frame + 2
    differs = (original.frames["rgb"] != twin.frames["rgb"]).any(axis=(1, 2, 3))
    assert not differs[: max(due - SLIVER, frame + 2)].any()
    labels = original.frames["segmentation"] != twin.frames["segmentation"]
    assert labels[due:].any(axis=(1, 2, 3)).sum() >= SHORTEST
    assert differs[due:].sum() >= SHORTEST


CROWDS = (
    ("camera_orbit", "mujoco", {"bodies": [5, 6]}),
    ("permanence", "bullet", {"act": "swap"}),
)


@pytest.mark.parametrize(("family", "engine", "parameters"), CROWDS)
def test_a_crowd_hides_a_splice_or_there_is_none(family, engine, parameters):
    camera = {"elevation_deg": [5, 10]}
    made = recipe(family, engine, [{"change": "vanish"}], parameters=parameters, camera=camera)
    made = made.model_copy(update={"video": made.video.model_copy(update={"frames": 64})})
    shown = 0
    for index in range(1, 8, 2):
        twin = make_episode(made, index)
        if twin.reasons:
            assert twin.reasons[0].startswith("twin: ")
            continue
        assert_seamless(make_episode(made, index - 1), twin)
        shown += 1
    assert shown


@pytest.fixture(scope="module")
def screen() -> tuple[Recipe, Episode, int, int, int]:
    """A ball that passes a screen with the sun in the camera's back, and when it is hidden."""
    camera = {"azimuth_deg": [-90, -90], "elevation_deg": [8, 8]}
    parameters = {"act": "emerge", "hidden_s": [0.5, 0.5]}
    made = recipe("permanence", "mujoco", [{"change": "vanish"}], parameters=parameters,
                  camera=camera, look={"sun_azimuth_deg": [-90, -90]})  # fmt: skip
    made = made.model_copy(update={"video": made.video.model_copy(update={"frames": 56})})
    clip = make_episode(made, 0)
    labels = clip.frames["segmentation"]
    (row, start, end), *_ = hidings(clip.scene, clip.motion, clip.shots, labels, earliest=False)
    return made, clip, row, start, end


def vanished(clip: Episode, row: int, frame: int) -> Motion:
    return placed(clip.motion, row, frame, ABSENT)


def test_a_shadow_gives_a_splice_away(screen):
    made, clip, row, start, end = screen
    frame = (start + end) // 2
    wrong = []
    for direction in (clip.scene.light.direction, (0.97, 0.0, -0.24)):  # away, and sideways
        scene = replace(clip.scene, light=replace(clip.scene.light, direction=direction))
        wrong.append(
            seam(
                (scene, clip.motion),
                (scene, vanished(clip, row, frame)),
                clip.shots,
                made.video,
                labels=clip.frames["segmentation"],
                row=row,
                frame=frame,
            )
        )
    assert wrong[0] == ("", frame)
    assert "a shadow shows the change" in wrong[1][0]
    assert frame <= wrong[1][1] < end


def test_what_never_comes_back_cannot_vanish(screen):
    made, clip, row, start, end = screen
    stays = clip.frames["segmentation"].copy()
    stays[end:][stays[end:] == row + 1] = 0
    assert not list(hidings(clip.scene, clip.motion, clip.shots, stays, earliest=False))
    frame = (start + end) // 2
    same = seam((clip.scene, clip.motion), (clip.scene, clip.motion), clip.shots, made.video,
                labels=clip.frames["segmentation"], row=row, frame=frame)  # fmt: skip
    assert "looks like the original" in same[0]


def test_a_stretch_is_drawn_as_the_clip_is(screen):
    made, clip, *_ = screen
    some = drawn(clip.scene, clip.motion, clip.shots, made.video, "rgb", first=7, stop=19)
    assert np.array_equal(some, clip.frames["rgb"][7:19])


def test_what_comes_to_be_has_no_apex_of_its_trembling(screen):
    _, clip, row, start, _ = screen
    motion = placed(clip.motion, row, 0, ABSENT)
    velocity = motion.velocity.copy()
    for name in ABSENT:
        getattr(motion, name)[start:, row] = getattr(clip.motion, name)[start:, row]
    velocity[start:, row] = clip.motion.velocity[start:, row]
    velocity[start:, row, 2] = 1e-6 * (-1.0) ** np.arange(len(velocity) - start)
    motion = replace(motion, velocity=velocity, contacts=motion.contacts[:0])
    height = motion.centre_of_mass[:, row, 2]
    assert np.ptp(height[~absent(height)]) < APEX_RISE_M < np.ptp(height)
    change = Change("recolour", start, clip.scene.bodies[row].name, possible=False)
    assert not list(apexes(clip.scene, motion, change))


def test_no_apex_of_what_keeps_its_height_in_sight():
    made = load("datasets/permanence/recipe.toml")
    for index in (1, 8):  # recolour, on either engine
        twin = make_episode(made, index)
        assert twin.change.kind == "recolour"
        assert not [e for e in twin.truth.events if e.kind == "apex"]
        record = recorded(twin.scene, twin.motion, twin.shots, twin.outcome, twin.truth.events)
        things = gather(record)["objects"].values()
        assert all(thing["travel_m"] < 20 for thing in things)  # not the way from where it waited


def test_a_twin_that_comes_too_near_the_camera_is_refused():
    changes = [{"change": "speed", "factor": [0.5, 0.5]}]
    made = recipe("bouncing_balls", "mujoco", changes, parameters={"bodies": [2, 2]})
    original, twin = group(made)
    scene, rng = stage(made, 0), partial(made.rng, 1, "twin")
    draw = partial(changed, scene, original.motion)
    row = scene.body_index(twin.change.body)
    (shot,) = original.shots
    spot = twin.motion.position[-2, row] + [0, 0.02, 0]
    beside = replace(shot.cameras, position=np.tile(spot, (len(shot.cameras.position), 1)))
    rest = (made.scene[0].twins[0], "mujoco")
    again = partial(stage, made, 0)
    assert draw(original.shots, *rest, rng(), again, made.video)[2] == twin.change
    with pytest.raises(SimulationError, match=r"twin: camera: it is inside .* at frame"):
        draw((replace(shot, cameras=beside),), *rest, rng(), again, made.video)
