"""Training: one loop, resumed exactly, on one process or on many by torchrun.

python -m torch.distributed.run --nproc-per-node 2 -m worldmodel.cli train STORE RUN
"""

from __future__ import annotations

import json
import os
import platform
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

import simgen
from worldmodel import checkpoint, parallel
from worldmodel.checkpoint import Checkpoint, CheckpointError, Lineage
from worldmodel.data import Windows
from worldmodel.dynamics import flow_matching
from worldmodel.dynamics.flow_matching import ObjectiveConfig
from worldmodel.dynamics.model import ModelConfig, WorldModel
from worldmodel.journal import Journal
from worldmodel.optimizer import Optimizer, OptimizerConfig
from worldmodel.parallel import Ranks

CHECKPOINT, METRICS = "checkpoint.safetensors", "metrics.jsonl"


class OtherRunError(CheckpointError):
    """The checkpoint is whole, but of another run than the one asked for."""


class TrainingError(RuntimeError):
    """Training cannot go on; what was saved before is intact."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what is learnt. Two runs of one config, store and machine agree."""

    model: ModelConfig = field(default_factory=ModelConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    seed: int = 0
    steps: int = 0  # 0: as many as the budget allows
    budget_s: float = 480.0
    batch: int = 4  # windows a step, over all ranks
    length: int = 9  # frames a window
    split: str = "train"
    threads: int = 0  # of each rank; 0: every core, shared out
    device: str = "auto"
    save_every_s: float = 60.0
    log_every: int = 20  # steps


@dataclass
class Run:
    """A training run between two steps: what a checkpoint holds."""

    config: TrainConfig
    model: WorldModel
    optimizer: Optimizer
    lineage: Lineage
    step: int = 0
    steps: int = 0  # 0: not yet decided
    elapsed_s: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)  # of the last step

    @property
    def done(self) -> bool:
        return 0 < self.steps <= self.step

    def line(self) -> dict[str, float]:
        """What the journal keeps of the last step."""
        words = {"step": self.step, "steps": self.steps, "elapsed_s": round(self.elapsed_s, 2)}
        return words | self.metrics

    def decide_steps(self) -> None:
        """Fixes the run's length once the rate is about to fall, so that the fall ends on time.

        Until then the schedule is flat whatever the length: a choice from the speed of the whole
        flat part, not of the first seconds, costs nothing.
        """
        flat = self.config.optimizer.flat_share
        if self.steps == 0 and self.elapsed_s >= flat * self.config.budget_s:
            self.steps = max(self.step + 1, round(self.step / flat))


def train(
    store: Path, out: Path, config: TrainConfig, *, progress: Callable[[Run], None] | None = None
) -> Run:
    """The finished run; `out` then holds its checkpoint and its metrics, a JSON line each.

    Goes on from the checkpoint in `out` if there is one, to the same weights bit for bit as if
    never stopped. Ctrl-C saves first.

    Args:
        store: A published dataset.
        out: The run's folder.
        progress: Called after each step, on the first rank.
    Raises:
        TrainingError: A loss or gradient is not finite; the message names the batch.
        DataError: The split is unknown, empty or leaks.
        CheckpointError: The checkpoint in `out` is damaged or of another config.
        KeyboardInterrupt: Asked to stop; the checkpoint is written.
    """
    ranks = parallel.start()
    device = _prepare(config, ranks)
    windows = Windows(simgen.open(store), config.split, length=config.length, seed=config.seed)
    run = begin(config, out / CHECKPOINT, lineage_of(store, windows), device)
    journal = Journal(out / METRICS, run.step) if ranks.first else None
    saved = time.monotonic()
    batches = windows.stream(run.step, config.batch, rank=ranks.rank, ranks=ranks.count)
    with closing(batches), _Interrupt() as interrupt:
        while not run.done:
            began = time.monotonic()
            advance(run, next(batches), windows, ranks)
            run.elapsed_s += ranks.agree(time.monotonic() - began)
            run.decide_steps()
            stop = ranks.agree(float(interrupt.asked)) > 0
            if ranks.first:
                if run.step % config.log_every == 0 or run.done:
                    journal.add(run.line())
                if stop or run.done or time.monotonic() - saved > config.save_every_s:
                    save(run, out / CHECKPOINT)
                    saved = time.monotonic()
                if progress:
                    progress(run)
            if stop:
                raise KeyboardInterrupt
    return run


def advance(run: Run, batch: dict[str, Tensor], windows: Windows, ranks: Ranks) -> None:
    """One step: draw, predict, differentiate, update."""
    config = run.config
    device = next(run.model.parameters()).device
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + run.step)
    shape = (config.batch, *batch["rgb"].shape[1:])
    draws = flow_matching.draw(shape, config.objective, generator)
    draws = draws.share(ranks.rank, ranks.count).to(device)
    batch = {name: tensor.to(device) for name, tensor in batch.items()}
    total, parts = flow_matching.loss(run.model, batch, draws, config.objective)
    total.backward()
    parallel.average_gradients(run.model, ranks)
    norm = run.optimizer.clip()
    values = torch.stack([*parts.values(), norm])
    ranks.average([values])
    if not values.isfinite().all():
        chosen = [(windows.episodes[e]["episode_id"], t) for e, t in
                  windows.choose(run.step, config.batch)]  # fmt: skip
        raise TrainingError(
            f"step {run.step}: loss {float(values[0])}, gradient norm {float(norm)}; the batch's "
            f"windows (episode, first frame): {chosen}. The last checkpoint is intact: look at "
            "these episodes, or lower optimizer.muon_rate"
        )
    rate = run.optimizer.step(run.step, run.steps)
    run.step += 1
    run.metrics = dict(zip((*parts, "gradient_norm"), values.tolist(), strict=True)) | {
        "rate": rate
    }


def begin(config: TrainConfig, path: Path, lineage: Lineage, device: torch.device) -> Run:
    """A new run, or the one that the checkpoint at `path` holds.

    Raises:
        CheckpointError: The checkpoint is damaged.
        OtherRunError: It is of another config or dataset.
    """
    torch.manual_seed(config.seed)
    model = WorldModel(config.model).to(device=device, memory_format=torch.channels_last)
    run = Run(config, model, Optimizer(model, config.optimizer), lineage, steps=config.steps)
    if not path.exists():
        return run
    saved = checkpoint.load(path)
    now = json.loads(json.dumps(asdict(config)))
    if saved.config != now:
        changed = [k for k in now if saved.config.get(k) != now[k]]
        raise OtherRunError(
            f"{path} is of a run with another {', '.join(changed)}; use another folder for a "
            "new run, or the same settings to go on with this one"
        )
    if saved.lineage.catalog_hash != lineage.catalog_hash:
        raise OtherRunError(
            f"{path} was trained on {saved.lineage.dataset_path}, whose episodes differ "
            f"from those of {lineage.dataset_path}; use another folder for a new run"
        )
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(saved.training[f"weights/{name}"])
    run.optimizer.load(saved.training | {f"average/{n}": t for n, t in saved.model.items()})
    run.step, run.steps = saved.step, saved.steps
    run.metrics = dict(saved.metrics)
    run.elapsed_s = run.metrics.pop("elapsed_s")
    return run


def save(run: Run, path: Path) -> None:
    """Writes the run's checkpoint."""
    state = run.optimizer.state()
    average = {n: state.pop(f"average/{n}") for n, _ in run.model.named_parameters()}
    weights = {f"weights/{n}": p for n, p in run.model.named_parameters()}
    checkpoint.save(
        Checkpoint(
            model=average, training=weights | state, config=asdict(run.config),
            lineage=run.lineage, step=run.step, steps=run.steps, seed=run.config.seed,
            metrics=run.metrics | {"elapsed_s": run.elapsed_s},
        ),
        path,
    )  # fmt: skip


def lineage_of(store: Path, windows: Windows) -> Lineage:
    """Where this run's data, code and numbers come from."""
    return Lineage(
        dataset_name=Path(store).name.removesuffix(".zarr"),
        dataset_path=str(store),
        recipe_hash=windows.episodes[0]["content_hash"],
        catalog_hash=windows.catalog_hash,
        split=windows.split,
        episodes=tuple(row["episode_id"] for row in windows.episodes),
        code_version=simgen.__version__,
        torch_version=torch.__version__,
        device=f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
    )


class _Interrupt:
    """Ctrl-C noted and not raised, so that a step is never cut in half."""

    asked = False

    def __enter__(self) -> _Interrupt:
        self._before = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, *_: object) -> None:
        self.asked = True


def _prepare(config: TrainConfig, ranks: Ranks) -> torch.device:
    """Threads, determinism and the device, set before anything is computed."""
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(config.threads or max(1, cores // ranks.count))
    cuda = torch.cuda.is_available() if config.device == "auto" else config.device == "cuda"
    # CUDA has no deterministic form of the bicubic warp's gradient
    torch.use_deterministic_algorithms(True, warn_only=cuda)
    torch.utils.deterministic.fill_uninitialized_memory = False  # filling costs time, hides nothing
    return torch.device("cuda", ranks.rank) if cuda else torch.device("cpu")
