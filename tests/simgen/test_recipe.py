"""Recipes: what is refused and how it is said, overrides, and who gets which scene and split."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from simgen.families import FAMILIES
from simgen.recipe import Recipe, RecipeError, load

RECIPE = """
name = "toy"
seed = 0
episodes = 40
[video]
frames = 8
height = 64
width = 64
[splits]
train = 0.7
val = 0.1
test = 0.1
far = 0.1
[[scene]]
family = "toy"
camera = { kind = "static" }
parameters = { drop_m = [0.5, 0.6] }
split_parameters = { far = { drop_m = [2.0, 2.5] } }
[[scene]]
family = "toy"
weight = 3
video = { width = 96 }
camera = [{ kind = "orbit", travel = [30, 60] }, { kind = "static" }]
"""


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(FAMILIES, "toy", "toy_family:Toy")


def write(folder: Path, text: str = RECIPE) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["video.hieght=64"], r"unknown key 'hieght'; did you mean 'height'\?.*: video.hieght\)"),
        (["hieght=64"], r"unknown key 'hieght'; did you mean 'height'\?"),
        (["scene.0.engin='x'"], r"unknown key 'engin'; did you mean 'engine'\?"),
        (["scene.camera.kinds=3"], r"unknown key 'kinds'; did you mean 'kind'\?"),
        (["scene.0.parameters.drop=1"], r"unknown key 'drop'; did you mean 'drop_m'\?"),
        (["scene.0.split_parameters.far.dorp_m=1"], r"did you mean 'drop_m'\?.*far.dorp_m"),
        (["scene.0.split_parameters.fra.drop_m=[1,2]"], r"unknown split 'fra'; did you mean 'far'"),
        (["family=toi"], r"unknown family 'toi'; did you mean 'toy'\?; known: "),
        (["engine=mujco"], r"unknown engine 'mujco'; did you mean 'mujoco'\?; known: bullet, muj"),
        (["engine=bullet"], r"engine 'bullet' cannot simulate family 'toy'; it runs on: mujoco"),
        (["renderer=gl"], r"unknown renderer 'gl'; known: mujoco, raycast, tiny"),
        (["kind=obrit"], r"'obrit' given; should be .*did you mean 'orbit'\?.*scene.0.camera.kind"),
        (["channels=['rgb', 'depht']"], r"'depht' given.*did you mean 'depth'\?.*channels.1"),
        (["video.channels=['rgb', 'rgb']"], r"repeats a channel"),
        (["seed=-1"], r"-1 given; should be greater than or equal to 0 .*: seed\)"),
        (["seed=18446744073709551616"], r"18446744073709551616 given; should be less than"),
        (["seed=true"], r"True given; should be a valid integer"),
        (["episodes='many'"], r"'many' given; should be a valid integer .*: episodes\)"),
        (["height='64'"], r"'64' given; should be a valid integer"),
        (["frame_rate_hz=0"], r"0 given; should be greater than 0"),
        (["frame_rate_hz=nan"], r"nan given; a finite number is needed .*: video.frame_rate_hz"),
        (["scene.0.parameters.drop_m=[0.5, inf]"], r"inf given; .*scene.0.parameters.drop_m.1"),
        (["height=0"], r"0 given; should be greater than or equal to 16"),
        (["height=33"], r"33 given; should be a multiple of 2"),
        (["height=100000"], r"less than or equal to 2048; one frame of 100000 x .* takes 360 GB"),
        (["frames=4096", "height=2048"], r"take 22.5 GB of memory a clip; at most 8.59 GB"),
        (["splits.train=0.9"], r"the shares add to 1.2; they must add to 1"),
        (["splits.far=0", "splits.val=0.2"], r"a share of 0 gives no episode; remove the split"),
        (["episodes=3"], r"3 episodes leave .* without any; about 10 are needed"),
        (["scene.7.weight=1"], r"no such item; there are 2, counted from 0"),
        (["field_of_view_deg=[200, 200]"], r"200\] given; both ends must lie between 1 and 160"),
        (["scene.camera.distance=[0, 1]"], r"1\] given; both ends must lie between 0.05 and 100"),
        (["elevation_deg=[20, 10]"], r"\[20, 10\] given; .low, high. with low above high"),
        (["elevation_deg=[0, 100]"], r"\[0, 100\] given; both ends must lie between -90 and 90"),
        (["weight=0"], r"0 given; should be greater than 0"),
        (["height"], r"'height' is not key=value"),
        (["name='A B'"], r"'A B' given; should match pattern|String should match pattern"),
        (["description='" + "x" * 20_000 + "'"], r"at most 10000 characters"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(path: Path, overrides: list[str], said: str):
    with pytest.raises(RecipeError, match=said) as raised:
        load(path, overrides)
    assert str(path) in str(raised.value)
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name = 'caf\xe9'", "not UTF-8 at byte 11"),
        (b"name = ", "not TOML"),
        (b"#" * 2_000_000, "too large; a recipe has at most 1000000 bytes"),
        (b"seed = " + b"9" * 5000, "not TOML: .*4300 digits"),
        (b"a = " + b"[" * 100_000, "not TOML: .*recursion"),
        (b"name = 'x'", "'scene' is missing"),
    ],
)
def test_files_that_are_no_recipe(tmp_path: Path, content: bytes, said: str):
    (tmp_path / "r.toml").write_bytes(content)
    with pytest.raises(RecipeError, match=said):
        load(tmp_path / "r.toml")


def test_missing_file(tmp_path: Path):
    with pytest.raises(RecipeError, match="no such recipe"):
        load(tmp_path / "nothing.toml")


def test_scenes_of_one_bucket_agree(path: Path):
    with pytest.raises(
        RecipeError, match=r"12.0 differs from scene 0.s 24.0, and both fill t8_64x"
    ):
        load(path, ["scene.1.video.width=64", "scene.1.video.frame_rate_hz=12"])


def test_overrides_reach_their_keys(path: Path):
    recipe = load(path, ["height=32", "seed=7", "scene.1.weight=1.5", "drop_m=[0.1, 0.2]"])
    assert recipe.video.height == 32
    assert recipe.seed == 7
    assert [scene.weight for scene in recipe.scene] == [1.0, 1.5]
    assert recipe.parameters_of(0, "train").drop_m == (0.1, 0.2)
    assert recipe.parameters_of(0, "far").drop_m == (2.0, 2.5)


def test_a_name_that_two_keys_have_must_be_written_out(path: Path):
    with pytest.raises(RecipeError, match=r"'width' could be video.width, scene.video.width"):
        load(path, ["width=32"])


def test_assignment_knows_neither_the_count_nor_the_order(path: Path):
    few, many = load(path, ["episodes=20"]), load(path, ["episodes=2000"])
    assert [few.assign(i) for i in range(20)] == [many.assign(i) for i in range(20)]
    assert many.assign(1234) == load(path).assign(1234)
    assert few.episode_id(3) == many.episode_id(3) != few.episode_id(4)


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_every_prefix_has_nearly_the_asked_shares(path: Path, seed: int):
    recipe = load(path, [f"seed={seed}"])
    for count in (50, 300):
        at = [recipe.assign(i) for i in range(count)]
        splits = Counter(a.split for a in at)
        for split, share in recipe.splits.items():
            assert abs(splits[split] / count - share) < 2 / count**0.75
        scenes = Counter(a.scene_index for a in at)
        assert abs(scenes[1] / count - 0.75) < 2 / count**0.75
        # every scene is in every split by the product of the shares
        pairs = Counter((a.scene_index, a.split) for a in at)
        assert abs(pairs[1, "train"] / count - 0.75 * 0.7) < 3 / count**0.75


def test_buckets_follow_the_scenes(path: Path):
    recipe = load(path)
    assert recipe.buckets == ("t8_64x64", "t8_64x96")
    for i in range(20):
        at = recipe.assign(i)
        assert at.bucket == ("t8_64x64", "t8_64x96")[at.scene_index]


def test_generators_differ_by_episode_seed_and_stream(path: Path):
    a, b = load(path), load(path, ["seed=1"])
    draws = [
        a.rng(0).random(), a.rng(1).random(), b.rng(0).random(), a.rng(0, "camera").random(),
    ]  # fmt: skip
    assert len(set(draws)) == 4
    assert a.rng(0).random() == load(path, ["episodes=99"]).rng(0).random() == draws[0]


def test_hash_tells_recipes_apart_and_survives_json(path: Path):
    recipe = load(path)
    again = Recipe.model_validate_json(json.dumps(recipe.model_dump(mode="json")))
    assert again == recipe
    assert again.hash == recipe.hash
    assert load(path, ["seed=1"]).hash != recipe.hash


def test_schema_holds_the_families_parameters(path: Path):
    schema = Recipe.schema()
    assert "toy" in schema["$defs"]["SceneRecipe"]["properties"]["family"]["enum"]
    assert "drop_m" in schema["$defs"]["toy.parameters"]["properties"]
    json.dumps(schema)


def test_recipe_is_frozen(path: Path):
    with pytest.raises(ValueError, match="frozen"):
        load(path).seed = 1


def test_negative_index(path: Path):
    with pytest.raises(ValueError, match="-1 is negative"):
        load(path).assign(-1)


def test_r2_points_fill_the_square(path: Path):
    """Scene and split must not move together: 256 points leave no empty cell of 8 x 8."""
    recipe = load(path)
    points = np.array([recipe.point(i) for i in range(256)])
    cells = Counter(map(tuple, (points * 8).astype(int)))
    assert len(cells) == 64
