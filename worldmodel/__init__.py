"""worldmodel: a store's windows -> a world model -> rollouts -> the verdict."""

import os

# OpenMP's threads spin while they wait for each other; where another process wants the core, that
# made steps of this model 25x slower. Must be set before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
