"""`simgen export`: episodes of a dataset in the formats of other libraries."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from simgen.terminal import ProgressBar, say


def export(
    path: Annotated[str, typer.Argument(help="The dataset: folder or URL.", metavar="STORE")],
    out: Annotated[Path, typer.Argument(help="A new folder.", metavar="OUT")],
    format: Annotated[str, typer.Option(help="lerobot, webdataset, videofolder, rerun or mp4.")],
    split: Annotated[
        list[str] | None, typer.Option(help="Only this split; may be repeated.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Only such episodes: family=ramp, seed>3, caption_short~red."),
    ] = None,
    channel: Annotated[str, typer.Option(help="Channels: rgb,depth.")] = "rgb",
    crf: Annotated[
        int | None, typer.Option(min=0, max=51, help="Quality of MP4s; 0 is best.")
    ] = None,
    lossless: Annotated[bool, typer.Option("--lossless", help="Keep every byte of rgb.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many episodes.")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Of the dataset.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Write episodes as LeRobot, WebDataset, videofolder, Rerun or captioned MP4 files.

    The folder appears when it is whole; after an interruption the same command goes on.

    Example: simgen export balls.zarr balls-lerobot --format lerobot --split train
    """
    from simgen.export import LOSSLESS, Options
    from simgen.export import export as write
    from simgen.export.video import CRF
    from simgen.store.reader import open as open_dataset

    if lossless and crf is not None:
        raise typer.BadParameter("--crf and --lossless exclude each other; give one of them")
    quality = LOSSLESS if lossless else CRF if crf is None else crf
    channels = tuple(name.strip() for name in channel.split(",") if name.strip())
    with ProgressBar("exporting") as step:
        report = write(
            open_dataset(path, version=version),
            out,
            format=format,
            splits=split or (),
            where=where or (),
            options=Options(channels, quality),
            limit=limit,
            progress=step,
        )
    splits = ", ".join(f"{count} {name}" for name, count in report.splits.items())
    again = "" if report.pieces_made else "; it was there already"
    text = (
        f"{report.out}: {report.episodes} episodes ({splits}), {report.frames} frames, "
        f"{report.bytes / 1e6:.1f} MB as {report.format}{again}\nnot in it: {report.loses}"
    )
    say(asdict(report), text, as_json)
