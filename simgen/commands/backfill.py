"""`simgen backfill`: more channels, another view or another wording, without simulating."""

from __future__ import annotations

import re
import tomllib
from dataclasses import asdict
from typing import Annotated, Any

import typer

from simgen.terminal import ProgressBar, say


def backfill(
    store: Annotated[str, typer.Argument(help="The dataset: folder or URL.", metavar="STORE")],
    channels: Annotated[
        str | None, typer.Option(help="Channels to draw, with commas: flow,backward_flow.")
    ] = None,
    view: Annotated[str | None, typer.Option(help="Name of a new view.")] = None,
    size: Annotated[str | None, typer.Option(help="The view's HEIGHTxWIDTH.")] = None,
    camera: Annotated[
        str | None, typer.Option(help="The view's camera as a recipe has it: '{kind = \"pan\"}'.")
    ] = None,
    captions: Annotated[str | None, typer.Option(help="seed=N: captions in other words.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 works in this one.")] = 2,
    scheduler: Annotated[str | None, typer.Option(help="A running Dask scheduler.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Add to every episode, from its stored motion, as a new version; nothing is simulated.

    Channels, or a view (another size or camera, or both), or other captions.
    Run again, it goes on where it stopped, or with episodes that came later.

    Example: simgen backfill balls.zarr --view small --size 64x64
    """
    from simgen.build.backfill import backfill as run_backfill

    layer = _layer(channels, view, size, camera, captions)
    with ProgressBar("drawing") as step:
        report = run_backfill(
            store, layer, workers=workers, scheduler=scheduler, progress=step, dry_run=dry_run
        )
    say(asdict(report), _summary(report), as_json)


def _layer(
    channels: str | None, view: str | None, size: str | None, camera: str | None,
    captions: str | None,
) -> Any:  # fmt: skip
    from simgen.store.layers import caption_layer, channel_layer, view_layer

    names = [name.strip() for name in channels.split(",")] if channels else []
    if captions is not None:
        if names or view or size or camera:
            raise typer.BadParameter("captions go alone; run the command again for the rest")
        return caption_layer(captions)
    if view is not None:
        return view_layer(view, size=_size(size), camera=_table(camera), channels=names)
    if size or camera:
        raise typer.BadParameter("a size or a camera makes a view; name it with --view")
    if not names:
        raise typer.BadParameter("nothing to add; give --channels, --view or --captions")
    return channel_layer(names)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    if not (found := re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)):
        raise typer.BadParameter(f"size {text!r}; give HEIGHTxWIDTH, such as 64x64")
    return int(found[1]), int(found[2])


def _table(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        table = tomllib.loads(f"camera = {text}")["camera"]
    except tomllib.TOMLDecodeError as error:
        raise typer.BadParameter(f"camera {text!r} is not TOML: {error}") from None
    if not isinstance(table, dict):
        raise typer.BadParameter(f"camera {text!r} is no table; give '{{ kind = \"orbit\" }}'")
    return table


def _summary(report: Any) -> str:
    """The report as lines of text."""
    if not report.parts:
        lines = [f"{report.url} has {report.layer} already, in version {report.version}"]
    elif report.dry_run:
        lines = [
            f"{report.url}: would give {report.layer} to {report.episodes} episodes of "
            f"{report.parts} parts"
        ]
    else:
        lines = [
            f"{report.url} version {report.version}: {report.layer} for {report.episodes} "
            f"episodes, {report.parts_run} of {report.parts} parts made in {report.seconds:.1f} s"
        ]
    if report.skipped:
        lines.append(
            f"  {report.skipped} episodes cannot get it: others of their parts have it, and what "
            "is written is never written again"
        )
    if report.refused:
        lines.append(f"  refused for {len(report.refused)} episodes:")
        lines += [f"    {episode}: {reason}" for episode, reason in report.refused[:20]]
    return "\n".join(lines)
