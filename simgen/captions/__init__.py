"""Captions: facts -> text in which every clause cites its evidence. Start at captions.py.

Nothing is imported here: families import simgen.captions.words, and captions import families.
"""
