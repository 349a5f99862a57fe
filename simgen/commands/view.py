"""`simgen view`: a dataset in the browser, from a local server or as one folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from simgen.terminal import say, working

EPISODES = 64


def view(
    store: Annotated[str, typer.Argument(help="The dataset.", metavar="STORE")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the pages to this new folder instead; it needs no server."),
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="How many, with --out.")] = EPISODES,
    select: Annotated[
        str, typer.Option(help="Which, with --out: what stands after the page's #?")
    ] = "",
    version: Annotated[int | None, typer.Option(min=1, help="An older version.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Show a dataset in the browser: clips, channels, events, captions, states. Ctrl-C ends it.

    Example: simgen view balls.zarr
    Example: simgen view balls.zarr --out out/pages --episodes 32 --select 'is.split=test'
    """
    import simgen
    from simgen.view.server import Server
    from simgen.view.static_site import write

    with working("reading the catalog"):
        dataset = simgen.open(store, version=version)
    if out is not None:
        with working("drawing"):
            try:
                site = write(dataset, out, episodes=episodes, select=select)
            except ValueError as error:
                raise typer.BadParameter(str(error)) from None
        facts = {"page": str(site.page), "episodes": site.episodes, "bytes": site.bytes}
        text = f"{site.page}: {site.episodes} episodes, {site.bytes / 1e6:.1f} MB; open it as it is"
        say(facts, text, as_json)
        return
    with working("reading the catalog"):
        try:
            server = Server(dataset, port)
        except OSError as error:
            raise typer.BadParameter(f"port {port}: {error.strerror}; give --port 0") from None
    say({"url": server.url}, server.url, as_json)
    sys.stdout.flush()
    if browser:
        import webbrowser

        webbrowser.open(server.url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:  # the way to end it
        pass
    finally:
        server.server_close()
