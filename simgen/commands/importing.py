"""`simgen import`: other people's clips as a dataset of ours."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from simgen.terminal import QUARANTINED, ProgressBar, say, working


def import_clips(
    folder: Annotated[
        Path, typer.Argument(help="The clips.", metavar="FOLDER", exists=True, file_okay=False)
    ],
    out: Annotated[str, typer.Argument(help="The dataset: folder or URL.", metavar="OUT")],
    format: Annotated[str, typer.Option(help="lerobot or videofolder.")],
    size: Annotated[
        str | None, typer.Option(help="HEIGHTxWIDTH: the middle, scaled. Not given: as it is.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Cut clips into episodes so long.")
    ] = None,
    frame_rate: Annotated[
        float | None, typer.Option(min=0.001, help="Drop frames down to this many a second.")
    ] = None,
    camera: Annotated[str, typer.Option(help="Which of a LeRobot dataset's.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of the splits.")] = 0,
    keep_splits: Annotated[
        bool, typer.Option("--keep-splits", help="The source's own, where it names them.")
    ] = False,
    licence: Annotated[str, typer.Option(help="Of the clips.")] = "unknown",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many clips.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Make a dataset of a LeRobot dataset, or of a folder of videos with captions.

    Truth is absent in it. The same command again goes on after an interruption.

    Example: simgen import footage footage.zarr --format videofolder --size 128x128 --frames 64
    """
    from simgen.imports import sources
    from simgen.imports.store import write
    from simgen.imports.windows import Choice, cut

    with working("looking at the clips"):
        found = sources(folder, format, camera=camera)[:limit]
        choice = Choice(_size(size), frames, frame_rate, seed, keep_splits)
        windows, losses = cut(found, choice)
    with ProgressBar("importing") as step:
        report = write(
            windows, losses, out, name=folder.resolve().name, format=format, choice=choice,
            licence=licence, progress=step,
        )  # fmt: skip
    splits = ", ".join(f"{count} {name}" for name, count in report.splits.items())
    text = (
        f"{report.out}: {report.episodes} episodes ({splits}) of {len(found)} clips, "
        f"{report.frames} frames, {report.quarantined} quarantined\nlost or changed: {losses}"
    )
    say(asdict(report), "\n".join([text, *losses.unreadable]), as_json)
    if report.quarantined or losses.unreadable:
        raise typer.Exit(QUARANTINED)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    if not found or min(map(int, found.groups())) < 2:
        raise typer.BadParameter(f"--size {text!r}; give HEIGHTxWIDTH, 128x128 for example")
    return int(found[1]), int(found[2])
