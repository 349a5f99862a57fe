"""The verdict in plain sentences, each made from the table's numbers and nothing else."""

from __future__ import annotations

from worldmodel.verdict.table import number


def sentences(verdict: dict) -> list[str]:
    """What a reader should take away, the judged row first, then its rivals, then the ruler."""
    judged = "model" if "model" in verdict["rows"] else "constant_velocity"
    say = [_stray(verdict, judged), _kept(verdict, judged), _divergence(verdict, judged)]
    say += [_rivals(verdict)] if judged == "model" else []
    say += [_ruler(verdict), _failures(verdict)]
    return [sentence for sentence in say if sentence]


def _cell(verdict: dict, row: str, metric: str) -> dict:
    """The cell at the longest horizon of the table."""
    cells = verdict["table"][row][metric]
    return cells.get("all") or cells[str(verdict["horizons"][-1])]


def _name(verdict: dict, row: str) -> str:
    return "The model" if row == "model" else verdict["rows"][row].capitalize()


def _stray(verdict: dict, row: str) -> str:
    cell = _cell(verdict, row, "position_error_px")
    metres = _cell(verdict, row, "position_error_m")
    if cell["value"] is None:
        return ""
    last = verdict["horizons"][-1]
    seconds = last / verdict["frame_rate_hz"]
    return (
        f"{_name(verdict, row)} puts objects {number(cell['value'])} px "
        f"({100 * cell['value'] / verdict['picture'][1]:.0f}% of the picture's width, "
        f"{number(metres['value'])} m) from their simulated place after {last} frames "
        f"({number(seconds)} s), between {number(cell['low'])} and {number(cell['high'])} px "
        "with 95% confidence."
    )


def _kept(verdict: dict, row: str) -> str:
    cell = _cell(verdict, row, "objects_kept")
    if cell["value"] is None:
        return ""
    lost = cell["missed"]
    return (
        f"By then {100 * cell['value']:.0f}% of the objects are still there, in one piece and "
        f"at their size: {lost} of {cell['objects']} {'is' if lost == 1 else 'are'} not."
    )


def _divergence(verdict: dict, row: str) -> str:
    cell = _cell(verdict, row, "time_to_divergence_s")
    if cell["value"] is None:
        return ""
    whole = verdict["horizon"] / verdict["frame_rate_hz"]
    return (
        f"An object follows its simulated path to within 5% of the picture's width for "
        f"{number(cell['value'])} s on average, of the {number(whole)} s that were rolled out."
    )


def _rivals(verdict: dict) -> str:
    parts = []
    for other, label in (("constant_velocity", "constant velocity"), ("copy_last", "copy last")):
        against = verdict["against"][other]
        rows = {int(h): three for h, three in against.items() if None not in three}
        better = [h for h, (_, _, high) in rows.items() if high < 0]
        worse = [h for h, (_, low, _) in rows.items() if low > 0]
        unclear = [h for h in rows if h not in better and h not in worse]
        said = [
            f"{word} at {_list(_runs(frames))}"
            for word, frames in (("better", better), ("worse", worse), ("not told apart", unclear))
            if frames
        ]
        if said:
            parts.append(f"against {label} it is {', '.join(said)} frames")
    if not parts:
        return ""
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]} (position error, 95%, paired over the same clips)."


def _ruler(verdict: dict) -> str:
    probe = verdict["probe"]
    if probe.get("error_px_mean") is None:
        return ""
    return (
        f"The ruler itself, on {probe['clips']} clips it was not fitted to, errs by "
        f"{number(probe['error_px_mean'])} px ({number(probe['error_px_whole'])} px where an "
        f"object is seen whole) and misses {100 * probe['miss_rate']:.1f}% of the objects."
    )


def _failures(verdict: dict) -> str:
    failures, unknown = verdict["failures"], verdict["objects_of_unknown_colour"]
    said = []
    if failures:
        said.append(
            f"Failed rollouts, scored as if everything were missing: {len(failures)}, the first of "
            f"{failures[0]['row']} on {failures[0]['episode_id']}: {failures[0]['reason']}."
        )
    if unknown:
        said.append(f"Objects not judged, of a colour that no training clip shows: {unknown}.")
    return " ".join(said)


def _runs(frames: list[int]) -> list[str]:
    """Ascending numbers with runs joined.

    >>> _runs([1, 4, 5, 6, 9, 10])
    ['1', '4 to 6', '9', '10']
    """
    runs: list[list[int]] = []
    for frame in frames:
        if runs and frame == runs[-1][-1] + 1:
            runs[-1].append(frame)
        else:
            runs.append([frame])
    words = [[f"{r[0]} to {r[-1]}"] if len(r) > 2 else list(map(str, r)) for r in runs]
    return [word for run in words for word in run]


def _list(frames: list[str]) -> str:
    return frames[0] if len(frames) == 1 else f"{', '.join(frames[:-1])} and {frames[-1]}"
