"""One stored episode of every family: what its captions claim, from the dataset alone, and what
falls, turns, bounces, rests and hides by arithmetic of the tests' own on the stored arrays.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from test_captions_families import every_family, only_firsts

import simgen
from simgen.build import build
from simgen.captions.claims import Facts, check
from simgen.captions.facts import facts_of
from simgen.families import FAMILIES

STILL_M_S, STILL_RAD_S = 0.03, 0.15  # what is called rest
JUMP_M_S = 0.5  # a change of speed between two frames that only a push can give


@dataclass(frozen=True)
class Told:
    """A stored clip with the facts of its captions."""

    row: dict
    facts: Facts
    events: list[dict]
    bodies: list[dict]
    centre: np.ndarray  # (time, body, 3)
    turn: np.ndarray  # (time, body, 4)
    pixels: np.ndarray  # (time, body) counted in the stored segmentation
    rate: float

    def rows(self, name: str) -> list[int]:
        return [i for i, body in enumerate(self.bodies) if body["object"] == name]

    def middle(self, name: str) -> np.ndarray:
        rows = self.rows(name)
        mass = np.array([self.bodies[row]["mass_kg"] for row in rows])
        return np.einsum("tbk,b->tk", self.centre[:, rows], mass / mass.sum())

    def loose(self) -> list[str]:
        """Objects of one free body."""
        names = [body["object"] for body in self.bodies]
        return [b["object"] for b in self.bodies if b["free"] and names.count(b["object"]) == 1]

    @property
    def fall(self) -> np.ndarray:
        return np.array(self.row["gravity_m_s2"])


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """By family, everything from one dataset that was built once."""
    out = tmp_path_factory.mktemp("stored") / "every_family.zarr"
    build(every_family(), out, workers=1, make=only_firsts)
    dataset, found = simgen.open(out), {}
    for row in dataset.catalog.to_pylist():
        name, bodies = row["episode_id"], json.loads(row["bodies"])
        seen = dataset.read(name, "segmentation")[..., 0]
        pixels = np.stack([np.bincount(frame.ravel(), minlength=256) for frame in seen])
        found[row["family"]] = Told(
            row, facts_of(dataset, name), dataset.events(name).to_pylist(), bodies,
            dataset.read(name, "centre_of_mass")[:, : len(bodies)],
            dataset.read(name, "quaternion")[:, : len(bodies)],
            pixels[:, 1 : 1 + len(bodies)], row["frame_rate_hz"],
        )  # fmt: skip
    assert set(found) == set(FAMILIES)
    return found


families = pytest.mark.parametrize("name", sorted(FAMILIES))


@families
def test_what_the_catalog_says_is_true_of_what_is_stored(clips, name):
    clip = clips[name]
    clauses = json.loads(clip.row["clauses"])
    assert len(clauses) > 8
    assert sum(bool(clause.get("false")) for clause in clauses) == 1
    for clause in clauses:
        assert check(clause, clip.facts) is not clause.get("false", False), clause


@families
def test_tops_of_flights_are_where_the_height_turns(clips, name):
    """Both ways: every one told is a top, and every top of a free fall is told."""
    clip, told = clips[name], []
    slack = np.linalg.norm(clip.fall) / (8 * clip.rate**2)  # what lies between two frames
    for event in clip.events:
        if event["kind"] != "apex":
            continue
        body = next(b for b in clip.bodies if b["name"] == event["body_a"])
        height = clip.middle(body["object"])[:, 2]
        near = int(event["start_s"] * clip.rate)
        top = near + int(np.argmax(height[near : near + 2]))
        assert height[top] >= height[max(top - 1, 0) : top + 2].max()
        assert height[top] - 1e-3 <= float(event["value"].split()[0]) <= height[top] + slack + 1e-3
        told.append((body["object"], top))
    for thing in clip.loose():
        height = clip.middle(thing)[:, 2]
        bend = np.diff(height, 2) * clip.rate**2
        free = np.abs(bend - clip.fall[2]) < 0.05 * abs(clip.fall[2])
        for t in range(2, len(height) - 3):
            falling = clip.fall[2] < 0 and free[t - 2 : t + 2].all()
            if falling and height[t] > max(height[t - 1], height[t + 1]):
                start = t - int(np.argmin(np.diff(height[: t + 1])[::-1] > 0))
                if height[t] - height[start] > 0.08:
                    assert any(o == thing and abs(k - t) <= 1 for o, k in told), (thing, t)


@families
def test_what_rests_stays_and_what_does_not_moves(clips, name):
    clip = clips[name]
    for thing, fact in clip.facts["objects"].items():
        rows = clip.rows(thing)
        if any(clip.centre[:, row, 2].min() < -50 for row in rows):
            continue  # not there all the time
        speed = np.linalg.norm(np.diff(clip.centre[:, rows], axis=0), axis=-1).max(1) * clip.rate
        same = np.abs((clip.turn[1:, rows] * clip.turn[:-1, rows]).sum(-1))
        spin = (2 * np.arccos(np.clip(same, 0, 1))).max(1) * clip.rate
        if fact["still_from_s"] is None:
            assert speed[-1] > 0.5 * STILL_M_S or spin[-1] > 0.5 * STILL_RAD_S, thing
            continue
        first = round(fact["still_from_s"] * clip.rate)
        assert speed[first:].max(initial=0) <= 1.5 * STILL_M_S, thing
        assert spin[first:].max(initial=0) <= 1.5 * STILL_RAD_S, thing
        if first > 1:
            before = slice(max(first - 3, 0), first)
            assert speed[before].max() > 0.5 * STILL_M_S or spin[before].max() > 0.5 * STILL_RAD_S


@families
def test_bounces_and_collisions_are_where_the_speed_jumps(clips, name):
    """Both ways, for loose things: a push shows in the path, and a kink in the path is told."""
    clip = clips[name]
    hits = [e for e in clip.facts["events"].values() if e["deed"] in ("bounce", "collision")]
    told = {e["subject"] for e in hits} | {e["other"] for e in hits}
    compared = 0
    for thing in set(clip.loose()) & set(clip.facts["objects"]):
        path = clip.middle(thing)
        kinks = np.diff(path, 2, axis=0) * clip.rate - clip.fall / clip.rate
        jump = np.linalg.norm(kinks, axis=1)  # of frame i + 1
        mine = {body["name"] for body in clip.bodies if body["object"] == thing}
        touches = [
            (e["start_s"], e["end_s"])
            for e in clip.events
            if e["kind"] in ("contact", "change") and mine & {e["body_a"], e["body_b"]}
        ]
        for event in (e for e in hits if e["subject"] == thing and e["deed"] == "bounce"):
            first = int(event["start_s"] * clip.rate) - 1
            last = int(np.ceil(event["end_s"] * clip.rate)) + 1
            near = [s for s, e in touches if e > first / clip.rate and s < (last + 2) / clip.rate]
            if first >= 0 and last < len(kinks) and len(near) == 1:
                pushed = np.linalg.norm(kinks[first : last + 1].sum(0))
                assert pushed == pytest.approx(event["change_m_s"], rel=0.3), (thing, event)
                compared += 1
        held = clip.row["family"] in ("spring", "newtons_cradle")
        for t in np.flatnonzero(jump > JUMP_M_S) if not held else ():
            at_s = (t + 1) / clip.rate
            assert any(
                start - 1.01 / clip.rate <= at_s <= end + 1.01 / clip.rate for start, end in touches
            ), (thing, at_s)
    assert told <= {*clip.facts["objects"], *clip.facts["setting"]}
    assert compared or name not in ("bouncing_balls", "box_bounce", "drop", "basketball")


@families
def test_what_falls_from_the_start_falls_freely(clips, name):
    clip = clips[name]
    for thing in clip.loose():
        fact = clip.facts["objects"].get(thing, {"falls_until_s": None})
        if fact["falls_until_s"] is None:
            continue
        height = clip.middle(thing)[:, 2]
        last = min(int(fact["falls_until_s"] * clip.rate), len(height) - 1)
        assert fact["drop_m"] == pytest.approx(height[0] - height[last], abs=1e-6)
        if last >= 3:  # by the formula, from the first two frames' mean speed
            dt = 1 / clip.rate
            speed = (height[1] - height[0]) / dt - clip.fall[2] * dt / 2
            formula = -speed * last * dt - clip.fall[2] * (last * dt) ** 2 / 2
            assert fact["drop_m"] == pytest.approx(formula, abs=0.02 + 0.01 * abs(formula))


@families
def test_what_is_hidden_has_no_pixels_and_what_lost_them_is_hidden(clips, name):
    clip = clips[name]
    away = [e for e in clip.events if e["kind"] in ("occlusion", "out_of_frame")]
    for thing in clip.facts["objects"]:
        rows = clip.rows(thing)
        names = {clip.bodies[row]["name"] for row in rows}
        seen, gone = clip.pixels[:, rows].sum(1), np.zeros(len(clip.pixels), bool)
        for event in (e for e in away if e["body_a"] in names):
            frames = slice(round(event["start_s"] * clip.rate), round(event["end_s"] * clip.rate))
            gone[frames] = True
            assert seen[frames].max() <= 0.1 * seen.max() + 1, (thing, event)
        parked = (clip.centre[:, rows, 2] < -50).all(1)
        cuts = {shot["first_frame"] for shot in json.loads(clip.row["shots"])}
        for t in np.flatnonzero((seen[1:] == 0) & (seen[:-1] >= 12)) + 1:
            assert gone[t] or parked[t] or t in cuts, (thing, t)


def test_the_clips_have_enough_of_all_that(clips):
    """Or the tests above would compare nothing."""
    facts = [clip.facts for clip in clips.values()]
    objects = [thing for fact in facts for thing in fact["objects"].values()]
    events = [event for fact in facts for event in fact["events"].values()]
    assert sum(thing["still_from_s"] is not None for thing in objects) >= 5
    assert sum(thing["drop_m"] > 0.2 for thing in objects) >= 5
    for deed, least in (("apex", 20), ("bounce", 30), ("collision", 10), ("occlusion", 2)):
        assert sum(event["deed"] == deed for event in events) >= least, deed
