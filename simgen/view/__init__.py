"""A dataset in the browser: pages of its catalog, clips in step, what happened and who says so."""
