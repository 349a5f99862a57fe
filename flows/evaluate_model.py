"""Judge a model against the simulator: verdict.json, metrics.parquet and report.html.

    python flows/evaluate_model.py out/demo/dataset.zarr out/demo/model/checkpoint.safetensors \\
        --out out/demo/verdict

A verdict on the same checkpoint, dataset and settings is left as it is. The report is linked from
the run as a Prefect artifact.
"""

# worldmodel is imported by functions and not by the module: every Dask worker of a pipeline imports
# its script, and would load torch for nothing.

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import command
from prefect import flow
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from terminal import counting, say, show_result

from simgen.store import reader
from simgen.terminal import DONE

INPUTS, VERDICT, REPORT = "inputs.json", "verdict.json", "report.html"


@flow(name="evaluate-model", flow_run_name="judge {checkpoint}")
def evaluate_model(
    store: Path, checkpoint: Path, out: Path, split: str = "test", clips: int | None = None
) -> Path:
    """Judge a checkpoint on a split it has not seen.

    Args:
        store: The published dataset to judge on.
        checkpoint: The model's.
        out: Folder of the verdict; an older one in it is replaced.
        split: Of the dataset.
        clips: The first so many episodes of the split; all if None.
    Returns:
        The report's path.
    """
    from worldmodel.evaluate import VERDICT_VERSION, evaluate

    asked = inputs_of(store, checkpoint, split=split, clips=clips, version=VERDICT_VERSION)
    if is_judged(out, asked):
        say(f"{out}: nothing to judge, the verdict on this checkpoint and dataset is there")
        return out / REPORT
    (out / INPUTS).unlink(missing_ok=True)
    with counting("judging, clips", 0) as judged:
        verdict = evaluate(checkpoint, store, out, split=split, clips=clips, progress=judged.reach)
    (out / INPUTS).write_text(json.dumps(asked, indent=1))
    link_report(verdict, out / REPORT)
    return out / REPORT


def inputs_of(store: Path, checkpoint: Path, **settings: object) -> dict[str, object]:
    """What a verdict depends on, by content."""
    contents = {
        "dataset": reader.open(store).version.to_bytes(), "checkpoint": checkpoint.read_bytes()
    }  # fmt: skip
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    return hashes | settings


def is_judged(out: Path, asked: dict[str, object]) -> bool:
    """Whether the folder holds the finished verdict on these inputs."""
    if not all((out / name).exists() for name in (INPUTS, VERDICT, REPORT)):
        return False
    return json.loads((out / INPUTS).read_text()) == asked


def link_report(verdict: dict, report: Path) -> None:
    """Leave the report's address and the table with the flow run.

    The verdict stands on disk by now: a server that refuses artifacts must not fail the run.
    """
    try:
        create_link_artifact(
            link=report.resolve().as_uri(), link_text="report.html", key="verdict-report"
        )
        create_markdown_artifact(markdown(verdict), key="verdict-table")
    except Exception as error:
        say(f"the report is not linked in Prefect: {error}")


def markdown(verdict: dict, metric: str = "position_error_px") -> str:
    """The verdict in sentences, then one metric's table by row and horizon."""
    from worldmodel.verdict.summary import sentences
    from worldmodel.verdict.table import cell_text

    horizons = [str(h) for h in verdict["horizons"]]
    lines = [*(f"- {sentence}" for sentence in sentences(verdict)), ""]
    lines += [f"| {metric} | " + " | ".join(horizons) + " |", "|---" * (len(horizons) + 1) + "|"]
    for row, label in verdict["rows"].items():
        cells = verdict["table"][row][metric]
        lines.append(f"| {label} | " + " | ".join(cell_text(cells[h]) for h in horizons) + " |")
    return "\n".join(lines)


def print_verdict(out: Path) -> None:
    """The verdict of that folder on stdout: table, sentences, and the report's path."""
    from worldmodel.verdict.summary import sentences
    from worldmodel.verdict.table import as_rich

    verdict = json.loads((out / VERDICT).read_text())
    show_result(as_rich(verdict), *sentences(verdict), f"report: {out / REPORT}")


def main() -> int:
    arguments = command.parser(__doc__)
    arguments.add_argument("store", type=Path, help="a published dataset, NAME.zarr")
    arguments.add_argument("checkpoint", type=Path, help="the model: RUN/checkpoint.safetensors")
    arguments.add_argument("--out", type=Path, required=True, help="folder for the verdict")
    command.add_judging(arguments)
    given = arguments.parse_args()

    def check() -> None:
        command.require_published(given.store)
        command.require_checkpoint(given.checkpoint)

    def work() -> int:
        evaluate_model(given.store, given.checkpoint, given.out, given.split, given.clips)
        print_verdict(given.out)
        return DONE

    return command.run(work, check=check, server=given.out / ".prefect")


if __name__ == "__main__":
    sys.exit(main())
