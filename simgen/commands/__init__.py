"""Commands whose bodies stand in files of their own; simgen/cli.py registers them."""
