"""The calibrated probe: from pixels alone to each object's place and size.

The same code reads true frames and predicted ones. It knows an object by its colour: a lookup
from rgb to colour class, counted on the training split, gives class probabilities per pixel; the
largest connected component of an object's pixels gives its centre. A body that is not there is
missing (NaN), not guessed, and one in two pieces is a split, not an average.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy import ndimage

from worldmodel.clip import ClipObject

BINS = 32  # per colour channel
FOUND_SHARE = 0.25  # of the expected area: a smaller component is a speck, not the object
FOUND_AREA_PX = 3.0  # the least area of a component, whatever is expected
MARGIN_PX = 3  # of background around a piece, to tell how its edge mixes
LEAST_CONTRAST = 20.0  # of 441: below it an edge's mixture cannot be read
NEIGHBOURS = np.ones((3, 3), bool)  # diagonal neighbours touch


class ProbeError(ValueError):
    """The probe cannot be fitted to, loaded for or used on what it was given."""


@dataclass(frozen=True)
class Tracks:
    """What the probe saw. A missing object has a NaN centre and no component."""

    centre: Float64[np.ndarray, "time object 2"]  # px
    area: Float64[np.ndarray, "time object"]  # px of the largest component
    components: Int64[np.ndarray, "time object"]  # large enough to count; above 1: split

    @property
    def missing(self) -> np.ndarray:
        return self.components == 0

    def lost_after(self, frames: int) -> Tracks:
        """The same with every object missing from that frame on."""
        gone = np.arange(len(self.centre))[:, None] >= frames
        return Tracks(
            np.where(gone[..., None], np.nan, self.centre),
            np.where(gone, 0.0, self.area),
            np.where(gone, 0, self.components),
        )


@dataclass(frozen=True)
class Probe:
    """Colour table of the training split, and how well the probe did on the validation split."""

    colours: tuple[str, ...]
    share: Float32[np.ndarray, " class"]  # class 0 is the background; mean share of a picture
    likelihood: Float32[np.ndarray, "class bin"]  # p(colour bin | class)
    perspective: float = 0.0  # see undo_perspective
    calibration: dict = field(default_factory=dict)

    def probabilities(
        self, rgb: UInt8[np.ndarray, "time height width 3"], objects: Sequence[ClipObject]
    ) -> Float32[np.ndarray, "class time height width"]:
        """Probability of each pixel to be background (class 0) or objects[i] (class i + 1).

        Raises:
            ProbeError: An object's colour was not in the training split.
        """
        if unknown := {thing.colour for thing in objects} - set(self.colours):
            raise ProbeError(
                f"colours {sorted(unknown)} were not in the training split; "
                f"the probe knows: {', '.join(self.colours)}"
            )
        rows = [0] + [1 + self.colours.index(thing.colour) for thing in objects]
        share = self.share[rows].copy()
        share[0] = max(1.0 - share[1:].sum(), 0.1)
        joint = self.likelihood[rows] * share[:, None]
        return (joint / joint.sum(axis=0)).astype(np.float32)[:, bins_of(rgb)]

    def track(
        self,
        rgb: UInt8[np.ndarray, "time height width 3"],
        objects: Sequence[ClipObject],
        *,
        context: int,
    ) -> Tracks:
        """Centre, area and number of pieces of each object in each frame.

        Args:
            rgb: Context frames and what follows them.
            objects: What to look for.
            context: Leading frames whose median area is the one to expect of an object.
        """
        winner = self.probabilities(rgb, objects).argmax(axis=0)
        shape = (len(rgb), len(objects))
        centre, area = np.full((*shape, 2), np.nan), np.zeros(shape)
        pieces = [[np.zeros(0)] * shape[1] for _ in range(shape[0])]
        for t, i in np.ndindex(shape):
            pieces[t][i], centre[t, i] = _components(winner[t] == i + 1, rgb[t])
            area[t, i] = pieces[t][i].max(initial=0.0)
        least = np.maximum(FOUND_SHARE * _expected_area(area[:context]), FOUND_AREA_PX)
        counts = np.array(
            [[(pieces[t][i] >= least[i]).sum() for i in range(shape[1])] for t in range(shape[0])]
        ).reshape(shape)
        centre[counts == 0] = np.nan
        area[counts == 0] = 0.0
        centre = undo_perspective(centre, area, self.perspective, rgb.shape[1:3])
        return Tracks(centre, area, counts)

    def save(self, path: Path) -> None:
        """Writes one safetensors file; the names and the calibration are in its metadata."""
        words = {
            "colours": self.colours, "perspective": self.perspective,
            "calibration": self.calibration,
        }  # fmt: skip
        tensors = {"share": self.share, "likelihood": self.likelihood}
        tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        save_file(tensors, path, metadata={"probe": json.dumps(words, sort_keys=True)})


def load(path: Path) -> Probe:
    """The probe that `Probe.save` wrote.

    Raises:
        ProbeError: There is no such file, or it is not a probe's.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            words = json.loads((file.metadata() or {})["probe"])
            return Probe(
                tuple(words["colours"]), file.get_tensor("share"), file.get_tensor("likelihood"),
                words["perspective"], words["calibration"],
            )  # fmt: skip
    except (OSError, SafetensorError, KeyError) as error:
        raise ProbeError(
            f"{path} is no probe ({error}); `worldmodel evaluate` writes probe.safetensors"
        ) from error


def bins_of(rgb: UInt8[np.ndarray, "*shape 3"]) -> Int64[np.ndarray, "*shape"]:
    """Row of the colour table that each pixel falls in."""
    r, g, b = np.moveaxis(rgb.astype(np.int64) * BINS // 256, -1, 0)
    return (r * BINS + g) * BINS + b


def undo_perspective(centre, area, perspective, size):
    """Centres moved from the middle of a silhouette to the projection of what it surrounds.

    A sphere of apparent area A at c from the optical axis shows an ellipse whose middle lies
    farther out: c (1 + A / (pi f^2)) to first order. The factor, in units of the picture's
    short side squared, is fitted on the training split because a picture does not tell f.
    """
    middle = np.array([size[1], size[0]]) / 2
    shrink = perspective * np.asarray(area)[..., None] / min(size) ** 2
    return centre - (centre - middle) * shrink


def _components(mask, frame):
    """Areas of the connected pieces of a mask, and the largest one's sub-pixel centre."""
    labels, count = ndimage.label(mask, NEIGHBOURS)
    if count == 0:
        return np.zeros(0), (np.nan, np.nan)
    areas = np.bincount(labels.ravel())[1:].astype(np.float64)
    number = int(areas.argmax()) + 1
    rows, columns = ndimage.find_objects(labels, max_label=number)[number - 1]
    top, left = max(rows.start - MARGIN_PX, 0), max(columns.start - MARGIN_PX, 0)
    box = (slice(top, rows.stop + MARGIN_PX), slice(left, columns.stop + MARGIN_PX))
    weight = _coverage(frame[box].astype(np.float64), labels[box] == number)
    y, x = np.indices(weight.shape)
    total = weight.sum()
    return areas, (
        left + (weight * (x + 0.5)).sum() / total,
        top + (weight * (y + 0.5)).sum() / total,
    )


def _coverage(rgb, piece):
    """Share of each pixel that a piece covers, 0..1, from how the colours mix along its edge.

    An edge pixel is taken as a mixture of the nearest colour well inside and the nearest well
    outside. A piece too thin to have an inside counts as its pixels are.
    """
    inside = ndimage.binary_erosion(piece, border_value=1)
    outside = ~ndimage.binary_dilation(piece, NEIGHBOURS)
    if not inside.any() or not outside.any():
        return piece.astype(np.float64)
    own = rgb[_nearest(inside)]
    contrast = own - rgb[_nearest(outside)]
    strength = (contrast**2).sum(axis=-1)
    share = 1.0 - ((own - rgb) * contrast).sum(axis=-1) / np.maximum(strength, 1.0)
    soft = np.where(strength > LEAST_CONTRAST**2, np.clip(share, 0.0, 1.0), piece)
    return np.where(inside, 1.0, np.where(outside, 0.0, soft))


def _nearest(mask):
    """Index of the nearest true pixel, for every pixel."""
    return tuple(ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True))


def _expected_area(context_area):
    """Median over the context frames in which the object was seen; 0 where it never was."""
    with np.errstate(invalid="ignore"):
        seen = np.where(context_area > 0, context_area, np.nan)
    return np.array(
        [np.nanmedian(column) if np.isfinite(column).any() else 0.0 for column in seen.T]
    )
