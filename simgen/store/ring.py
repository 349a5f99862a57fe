"""Batch buffers that are written again and again: fresh memory costs a page fault every 4 kB."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from threading import Lock

import numpy as np

Shapes = Mapping[str, tuple[tuple[int, ...], np.dtype]]


class Ring:
    """Buffers for batches in flight. One that anybody still holds an array of is never given out.

    Args:
        count: Buffers kept; when all are held, further batches get memory of their own.
        pinned: In page-locked memory, from which a GPU copies while it computes; needs torch.
    """

    def __init__(self, count: int, *, pinned: bool = False):
        self.count, self.pinned = count, pinned
        self._slots: list[_Slot] = []
        self._lock = Lock()

    def take(self, shapes: Shapes) -> dict[str, np.ndarray]:
        """Arrays to fill, by name; free again once nobody holds one of them or a view of one."""
        with self._lock:
            for slot in self._slots:
                if slot.shapes == shapes and slot.idle == slot.references():
                    return slot.views()
            slot = _Slot(shapes, {name: self._empty(*of) for name, of in shapes.items()})
            if len(self._slots) == self.count:  # buffers of a bucket that is not in flight now?
                old = next((s for s in self._slots if s.idle == s.references()), None)
                if old is None:
                    return slot.views()
                self._slots.remove(old)
            self._slots.append(slot)
            return slot.views()

    def _empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        if not self.pinned:
            return np.empty(shape, dtype)
        import torch

        kind = torch.from_numpy(np.empty(0, dtype)).dtype
        return torch.empty(shape, dtype=kind, pin_memory=True).numpy()


class _Slot:
    """One batch's arrays, and how often they are referred to while nobody uses them."""

    def __init__(self, shapes: Shapes, arrays: dict[str, np.ndarray]):
        self.shapes, self.arrays = dict(shapes), arrays
        # every view's base is the owner of the memory: for pinned arrays a torch tensor
        self.owners = [array if array.base is None else array.base for array in arrays.values()]
        self.idle = self.references()

    def references(self) -> list[int]:
        return [sys.getrefcount(owner) for owner in self.owners]

    def views(self) -> dict[str, np.ndarray]:
        return {name: array[...] for name, array in self.arrays.items()}
