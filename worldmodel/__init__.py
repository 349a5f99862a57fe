"""worldmodel: a store's windows -> a world model -> rollouts -> the verdict."""
