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
        (["episodes=3"], r"3 episodes leave .* without any; it takes \d+ episodes, or"),
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


TABLES = {
    "shots = [3, 2]": r"\[3, 2\] given; \[low, high\] with low above high.*scene.0.shots\)",
    "shots = [2, 9]": r"\[2, 9\] given; both ends must lie between 1 and 4",
    "shots = [2, 4]\nvideo = { frames = 6 }": r"\[2, 4\] given; 6 frames have room for 3 shots",
    "family = 'journey'\nshots = [2, 3]":
        r"family 'journey' shows each of its settings in one shot",
    "split_looks = { tset = { sky = ['day'] } }":
        r"unknown split 'tset'; did you mean 'test'\?; known: .*scene.0.split_looks.tset",
    "look = { sky = ['dsuk'] }": r"'dsuk' given.*did you mean 'dusk'\?.*scene.0.look.sky.0",
    "shapes = [[64, 33]]": r"33 given; should be a multiple of 2.*scene.0.shapes.0.1",
    "shapes = [[64, 64], [64, 64]]": r"repeats a shape.*scene.0.shapes",
    "shapes = [[64, 64]]\nvideo = { width = 32 }": r"beside shapes, which give both.*scene.0.video",
    "twins = [{ change = 'sped' }]":
        r"'sped' given.*did you mean 'speed'\?.*scene.0.twins.0.change",
    "twins = [{ change = 'mass', facter = [2, 3] }]":
        r"unknown key 'facter'; did you mean 'factor'\?; known: .*scene.0.twins.0.facter",
    "twins = [{ change = 'remove', factor = [3, 4] }]":
        r"factor .3.0, 4.0. given for change 'remove'",
    "twins = [{ change = 'vanish', at = [0.1, 0.2] }]":
        r"given for change 'vanish', which has none",
    "twins = [{ change = 'mass', factor = [0, 1] }]": r"for a mass; it must be above 0",
    "twins = [{ change = 'release', delay_s = [-0.1, 0] }]": r"must lie between 0 and 1",
    "twins = [{ change = 'remove' }, { change = 'remove' }]":
        r"says the same as twin 0, and would be the same clip.*scene.0.twins.1",
    "twins = [{ change = 'release' }]":
        r"'release' given; family 'bouncing_balls' has no grip that opens; it can have: mass, .*"
        r"scene.0.twins.0.change",
    "twins = [{ change = 'pass_through' }]": r"no hidden wall to pass through; it can have: mass",
    "family = 'rolling'\ntwins = [{ change = 'vanish' }]": r"'rolling' has nothing to hide a body",
    "family = 'basketball'\ntwins = [{ change = 'remove' }]": r"no body for change 'remove'",
    "family = 'vault'\ntwins = [{ change = 'speed' }]":
        r"family 'vault' has no body for change 'speed'; it can have: mass, gravity \(",
    "family = 'vault'\ntwins = [{ change = 'vanish' }]": r"no object of one free body to change",
    "family = 'collision'\ntwins = [{ change = 'gravity' }]": r"has no gravity to change",
    "twins = [{ change = 'mass' }]\nvideo = { frames = 8 }":
        r"8 given; a clip of 8 frames has then no state .* at most 7 .*: state_every\)",
}  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_shots_shapes_looks_and_twins_that_cannot_be(tmp_path: Path, table: str):
    engine = "" if "family" in table else "family = 'bouncing_balls'\n"
    path = write(tmp_path, f"name = 'small'\n[[scene]]\n{engine}{table}\n")
    with pytest.raises(RecipeError, match=TABLES[table]) as raised:
        load(path)
    assert str(path) in str(raised.value)
    assert len(str(raised.value)) < 1000


def test_no_split_has_the_name_of_the_impossible_twins(path: Path):
    with pytest.raises(RecipeError, match=r"'impossible' is the split of twins .*splits.impossibl"):
        load(path, ["splits.far=0.05", "splits.impossible=0.05"])


def test_scenes_are_counted_as_in_the_file(tmp_path: Path):
    """One of several shapes is several scenes inside, and still one for who wrote it."""
    text = RECIPE.replace('family = "toy"', 'family = "toy"\nshapes = [[32, 64], [64, 32]]', 1)
    with pytest.raises(RecipeError, match=r"unknown engine 'x'.*scene.1.engine\)") as raised:
        load(write(tmp_path, text), ["scene.1.engine=x"])
    assert len(str(raised.value).splitlines()) == 1
    with pytest.raises(RecipeError, match=r"unknown engine 'x'.*scene.0.engine\)") as raised:
        load(write(tmp_path, text), ["scene.0.engine=x"])
    assert len(str(raised.value).splitlines()) == 1


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
    other = recipe.model_copy(update={"splits": dict(reversed(recipe.splits.items()))})
    splits = [[of.assign(index).split for index in range(20)] for of in (recipe, other)]
    assert splits[0] != splits[1]  # so it is another recipe
    assert other.hash != recipe.hash
    assert other.episode_id(0) != recipe.episode_id(0)


def test_schema_holds_the_families_parameters(path: Path):
    schema = Recipe.schema()
    assert "toy" in schema["$defs"]["SceneRecipe"]["properties"]["family"]["enum"]
    assert "drop_m" in schema["$defs"]["toy.parameters"]["properties"]
    json.dumps(schema)


def test_schema_holds_shots_shapes_looks_and_twins(path: Path):
    tables = Recipe.schema()["$defs"]
    scene = tables["SceneRecipe"]["properties"]
    assert {"shots", "shapes", "look", "split_looks", "twins", "camera"} <= scene.keys()
    assert "pass_through" in tables["TwinRecipe"]["properties"]["change"]["enum"]
    assert "dusk" in str(tables["LookRecipe"]["properties"]["sky"])
    assert "pedestal" in str(tables["CameraRecipe"]["properties"]["kind"])
    for table in ("TwinRecipe", "LookRecipe", "CameraRecipe", "MoveRecipe"):
        assert tables[table]["additionalProperties"] is False


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
