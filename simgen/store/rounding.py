"""Rendered channels as the numbers that are stored, rounded to nearest, ties to even.

NumPy's own conversion to float16 takes longer than compressing what comes out of it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float16, Float32, Int8
from numba import njit

_BLOCK = 4096  # numbers: they stay in the first cache between the two loops
_REBIAS = np.int32(112 << 10)  # exponent biases 127 and 15
_LEAST, _BEYOND, _INFINITE = np.array([2**-14, 65520, np.inf], np.float32).view(np.int32)


def to_half(array: Float32[np.ndarray, "*shape"]) -> Float16[np.ndarray, "*shape"]:
    """The nearest float16; 0 below its normal numbers (2^-14), infinity beyond 65,504."""
    return _halves(array, np.float32(0))


def to_steps(array: Float32[np.ndarray, "*shape"], *, step: float) -> Float16[np.ndarray, "*shape"]:
    """The nearest whole multiple of `step`, or the nearest float16 where those lie further apart.

    There is one zero and one NaN: a still pixel has the same bytes whichever way it trembled.

    Args:
        step: A power of two, at least 2^-14.
    """
    return _halves(array, np.float32(step))


def to_signed(unit: Float32[np.ndarray, "*shape"]) -> Int8[np.ndarray, "*shape"]:
    """The nearest whole number of 127ths of numbers from -1 to 1."""
    flat = np.ascontiguousarray(unit, np.float32).reshape(-1)
    out = np.empty(len(flat), np.int8)
    _signed(flat, out)
    return out.reshape(unit.shape)


def _halves(array: np.ndarray, step: np.float32) -> np.ndarray:
    flat = np.ascontiguousarray(array, np.float32).reshape(-1)
    out = np.empty(len(flat), np.int16)
    scratch = np.empty(_BLOCK, np.float32)
    _convert(flat, step, scratch, scratch.view(np.int32), out)
    return out.view(np.float16).reshape(array.shape)


@njit(cache=True, nogil=True, error_model="numpy")
def _round(values, step, out):
    """To whole steps as far as each of them is a float16; 0: not at all."""
    whole = np.float32(1) / step if step > 0 else np.float32(0)
    limit = np.float32(2048) * step
    for i in range(len(values)):
        near = np.float32(np.rint(values[i] * whole) * step)
        out[i] = near if abs(values[i]) < limit else values[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _bits(raw, out):
    """float16's bits of float32's. Every branch is a select, so that the loop is a SIMD one."""
    for i in range(len(out)):
        bits = np.int32(raw[i] & np.int32(0x7FFFFFFF))
        odd = np.int32(np.int32(bits >> np.int32(13)) & np.int32(1))
        half = np.int32(np.int32(np.int32(bits + np.int32(0xFFF)) + odd) >> np.int32(13))
        half = np.int32(half - _REBIAS)
        half = np.int32(0) if bits < _LEAST else half
        half = np.int32(0x7C00) if bits >= _BEYOND else half
        half = np.int32(0x7E00) if bits > _INFINITE else half
        sign = np.int32(np.int32(raw[i] >> np.int32(16)) & np.int32(0x8000))
        sign = np.int32(0) if (half == 0) | (half == np.int32(0x7E00)) else sign
        out[i] = np.int32(half | sign)


@njit(cache=True, nogil=True, error_model="numpy")
def _convert(values, step, scratch, raw, out):
    for start in range(0, len(values), _BLOCK):
        _round(values[start : start + _BLOCK], step, scratch)
        _bits(raw, out[start : start + _BLOCK])


@njit(cache=True, nogil=True, error_model="numpy")
def _signed(values, out):
    for i in range(len(out)):
        out[i] = np.int8(np.int32(np.rint(values[i] * np.float32(127))))
