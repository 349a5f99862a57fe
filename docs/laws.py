"""Make docs/laws.md: every family's known answers beside what each engine did.

python docs/laws.py
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from simgen.engines import simulate
from simgen.families import FAMILIES, Law, family

EPISODES, FRAMES, FRAME_RATE_HZ = 8, 64, 24.0
OUT = Path(__file__).resolve().with_suffix(".md")
HEAD = f"""# Laws: what textbooks say beside what the engines did

Every family with a known answer measures it in the finished motion, never in the script. Each row
is one law on one engine over the {EPISODES} first episodes of the family's default parameters
({FRAMES} frames at {FRAME_RATE_HZ:g} Hz). The error is |measured - expected|. A tolerance may
depend on the episode, so the worst error is the one that uses most of its own tolerance: it stands
beside that tolerance, the share of it that it uses, and what was measured and expected there. A law
counts once for each time it could be measured: a ball's rebound is not, where the clip ends before
its top.

`python docs/laws.py` makes this table; tests/simgen/test_laws.py measures every row of it again.

| family | law | engine | count | median error | worst error | its tolerance | used | measured there | expected there | unit | source |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""  # noqa: E501


def main() -> None:
    """Simulate, measure, write."""
    rows = []
    for name in sorted(FAMILIES):
        made = family(name)
        if not hasattr(made, "laws"):
            continue
        for engine in made.engines:
            for law, found in measured(name, engine).items():
                rows.append(row(name, law, engine, found))
    OUT.write_text(HEAD + "\n".join(sorted(rows)) + "\n")


def measured(name: str, engine: str) -> dict[str, list[Law]]:
    """The laws of the first episodes by name."""
    made, found = family(name), defaultdict(list)
    for index in range(EPISODES):
        rng = np.random.default_rng([0, index])
        scene = made.sample(made.Parameters(), rng, frames=FRAMES, frame_rate_hz=FRAME_RATE_HZ)
        for law in made.laws(scene, simulate(scene, engine)):
            found[law.name].append(law)
    return found


def row(name: str, law: str, engine: str, found: list[Law]) -> str:
    """One line of the table."""
    errors = np.array([abs(one.measured - one.expected) for one in found])
    shares = errors / np.maximum([one.tolerance for one in found], 1e-30)
    at = int(shares.argmax())
    worst = found[at]
    cells = [
        name, law, engine, f"{len(found)}", f"{np.median(errors):.1e}", f"{errors[at]:.1e}",
        f"{worst.tolerance:.2g}", f"{shares[at]:.0%}", f"{worst.measured:.5g}",
        f"{worst.expected:.5g}", worst.unit, worst.source,
    ]  # fmt: skip
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


if __name__ == "__main__":
    main()
