"""Captions: facts -> text in which every clause cites its evidence. Start at captions.py."""

from simgen.captions.captions import describe

__all__ = ["describe"]
