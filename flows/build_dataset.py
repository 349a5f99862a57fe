"""Build a dataset: recipe -> parts on Dask -> published store.

    python flows/build_dataset.py datasets/smoke/recipe.toml --out out/smoke.zarr

What is done is known from the store alone. The same command again makes what is missing, and
nothing when nothing is; so it is also how an interrupted build goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import command
from cluster import Cluster
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from terminal import counting, say

from simgen import build
from simgen.build.planning import Part, Plan, groups, plan
from simgen.build.workers import interruptible
from simgen.recipe import Recipe, load
from simgen.terminal import DONE, QUARANTINED

GROUP_S = 60.0  # of work a task: a task costs 0.2 s, and a killed worker loses what it had in hand
POLL_S = 0.2
GROUPS_PER_SLOT = 4  # at least so many when there are parts enough, so that no worker idles long


@flow(name="build-dataset", flow_run_name="build {out}")
def build_dataset(
    recipe_path: Path,
    out: Path,
    overrides: Sequence[str] = (),
    cluster: Cluster = Cluster(),  # noqa: B008 - frozen
) -> dict[str, int]:
    """Make what the dataset lacks and publish it.

    Args:
        recipe_path: The recipe, a TOML file.
        out: The dataset's folder: made if absent, continued if it holds this recipe.
        overrides: `key=value` on recipe keys.
        cluster: Where the parts are built.
    Returns:
        episodes, quarantined and bytes of the dataset.
    """
    recipe = load(recipe_path, overrides)
    with build.writing(recipe, out) as plan:
        if plan.todo:
            say(f"building {out}: {len(plan.todo)} of {len(plan.parts)} parts to make")
            on_dask = build_parts.with_options(task_runner=cluster.runner())
            on_dask(recipe, plan.out, groups_of(plan, cluster.slots))
        counts = build.publish(recipe, out)
    said = "built" if plan.todo else "nothing to build, every part is there"
    say(
        f"{out}: {said}; {counts['episodes']} episodes, {counts['quarantined']} quarantined, "
        f"{counts['bytes'] / 1e6:.1f} MB"
    )
    return counts


@flow(name="build-parts", validate_parameters=False)
def build_parts(recipe: Recipe, out: Path, groups: list[tuple[Part, ...]]) -> None:
    """Every group once, on the flow's Dask cluster.

    Looks for Ctrl-C itself: raised at any line of Prefect's or Dask's own, it can be swallowed.
    """
    with (
        interruptible("stopping; parts that are not finished are dropped") as stop,
        counting("parts", sum(map(len, groups))) as parts,
    ):
        waiting = [build_group.submit(recipe, out, group) for group in groups]
        while waiting:
            if stop.wait(POLL_S):
                raise KeyboardInterrupt
            for future in [f for f in waiting if f.wrapped_future.done()]:
                waiting.remove(future)
                parts.advance(future.result())
                future.wrapped_future.release()  # or Dask builds it again when its worker dies


@task(name="build-group", cache_policy=NO_CACHE, persist_result=False)
def build_group(recipe: Recipe, out: Path, group: tuple[Part, ...]) -> int:
    """Make the parts of a group; returns how many."""
    return len(build.run_group(recipe, group, out))


def groups_of(plan: Plan, slots: int) -> list[tuple[Part, ...]]:
    """The parts still to make in runs of about a minute's work, shorter when there is little."""
    work_s = sum(part.seconds for part in plan.todo)
    return groups(plan.todo, min(GROUP_S, work_s / (slots * GROUPS_PER_SLOT)))


def main() -> int:
    arguments = command.parser(__doc__)
    command.add_recipe(arguments)
    arguments.add_argument("--out", type=Path, required=True, help="its folder, NAME.zarr")
    command.add_cluster(arguments)
    given = arguments.parse_intermixed_args()

    def work() -> int:
        cluster = command.cluster_of(given)
        counts = build_dataset(given.recipe, given.out, given.overrides, cluster)
        return QUARANTINED if counts["quarantined"] else DONE

    return command.run(
        work,
        check=lambda: plan(load(given.recipe, given.overrides), given.out),
        server=given.out.with_name(f".{given.out.name}.prefect"),
    )


if __name__ == "__main__":
    sys.exit(main())
