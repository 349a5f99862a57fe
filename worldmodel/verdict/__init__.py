"""The verdict: rollouts held against the simulator, with the ruler's own error beside them."""
