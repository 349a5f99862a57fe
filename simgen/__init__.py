"""simgen: recipe -> scene -> motion -> frames and truth -> caption -> store."""

__version__ = "0.1.0"
