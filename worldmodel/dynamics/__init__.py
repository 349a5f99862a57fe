"""Models that predict frames: the world model, its parts, and the baselines."""
