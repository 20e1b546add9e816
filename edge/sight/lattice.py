"""Flattens a symbol on cloth, a can or a crumpled sheet, by the lattice of its modules.

Edges occur only between modules. Multiplied by a wave of one module's length they give a phase at
each place: how far the lattice is from its place according to the four corners. A smooth surface is
fitted to the change of the phase, and the remainder is measured near each module.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edge.sight import pixels, symbol_patterns
from edge.sight.frame import Luma
from edge.sight.modules import MARGIN, SAMPLES
from edge.sight.pixels import Field, Matrix

_PIXELS = 6  # a module
_POWERS = ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3))
_QUADRATIC = 5  # of them

Waves = npt.NDArray[np.complex64]


def flat(luma: Luma, to_pixels: Matrix, size: int) -> Field:
    """The symbol as `to_pixels` (from modules) sees it: SAMPLES a module, MARGIN around."""
    wide = size + 2 * MARGIN
    return pixels.smaller(_warped(luma, to_pixels, size), (SAMPLES * wide, SAMPLES * wide))


def unbent(luma: Luma, to_pixels: Matrix, size: int) -> tuple[Field, int, int]:
    """The same with the lattice straightened, and the row and column where the symbol begins."""
    seen = _warped(luma, to_pixels, size)
    wide = size + 2 * MARGIN
    right = _displaced(seen, wide)
    down = np.ascontiguousarray(_displaced(np.ascontiguousarray(seen.T), wide).T)
    step = _PIXELS / SAMPLES
    along = (np.arange(SAMPLES * wide, dtype=np.float32) + 0.5) * step - 0.5
    straight_x, straight_y = np.meshgrid(along, along)
    x, y = straight_x, straight_y
    for _ in range(3):  # a displacement is measured where it ends and needed where it starts
        at_x, at_y = (x + 0.5) / _PIXELS - 0.5, (y + 0.5) / _PIXELS - 0.5
        x = straight_x + pixels.sampled(right, at_x, at_y)
        y = straight_y + pixels.sampled(down, at_x, at_y)
    laid = pixels.sampled(pixels.mean(seen, 3), x, y)
    fits = pixels.matched(pixels.smaller(laid, (wide, wide)), _finder())
    near = fits[MARGIN - 3 : MARGIN + 2, MARGIN - 3 : MARGIN + 2]  # within two modules
    _, column, row = pixels.peak(near)
    return laid, row + MARGIN - 2, column + MARGIN - 2


def _warped(luma: Luma, to_pixels: Matrix, size: int) -> Field:
    wide = (size + 2 * MARGIN) * _PIXELS
    k, middle = 1 / _PIXELS, 0.5 / _PIXELS - MARGIN
    modules = np.array([(k, 0, middle), (0, k, middle), (0, 0, 1)])
    return pixels.whitened(
        pixels.warped(luma, to_pixels @ modules, (wide, wide)), (9 * _PIXELS) | 1
    )


def _displaced(seen: Field, wide: int) -> Field:
    """How far right of its place the lattice is, in pixels, at each of `wide` x `wide` modules."""
    edges = np.zeros_like(seen)
    edges[:, 2:-2] = np.abs(seen[:, 4:] - seen[:, :-4])
    turn = ((np.arange(edges.shape[1]) + 0.5) * (2 * np.pi / _PIXELS)).astype(np.float32)
    waves = _complex(
        pixels.smaller(edges * np.cos(turn), (wide, wide)),
        pixels.smaller(edges * np.sin(turn), (wide, wide)),
    )
    phase = np.zeros((wide, wide), np.float32)
    for window, terms in ((5, _QUADRATIC), (7, len(_POWERS))):
        phase += _surface(_smooth(waves * np.exp(-1j * phase), window), terms)
    corner = slice(MARGIN - 1, MARGIN + 10)  # check the first finder pattern
    phase += np.angle((waves * np.exp(-1j * phase))[corner, corner].sum())
    phase += np.angle(_smooth(waves * np.exp(-1j * phase), 7))
    return np.asarray(phase * (_PIXELS / (2 * np.pi)), np.float32)


def _surface(waves: Waves, terms: int) -> Field:
    """The smooth surface whose slopes are those of the phase; strong waves count more."""
    wide = len(waves)
    basis, across, down = _basis(wide)
    right, below = waves[:, 1:] * waves[:, :-1].conj(), waves[1:] * waves[:-1].conj()
    slopes = np.concatenate([np.angle(right).ravel(), np.angle(below).ravel()])
    weights = np.sqrt(np.concatenate([np.abs(right).ravel(), np.abs(below).ravel()]))
    samples = np.concatenate([across[:terms], down[:terms]], axis=1) * weights
    power = samples @ samples.T
    power.flat[:: terms + 1] += 1e-6 * np.trace(power) / terms + 1e-9
    coefficients = np.linalg.solve(power, samples @ (slopes * weights))
    return np.asarray(np.tensordot(coefficients, basis[:terms], 1), np.float32)


@lru_cache(maxsize=16)
def _basis(wide: int) -> tuple[Field, Field, Field]:
    """Each power over the modules, and its differences to the right and down, one row each."""
    at = ((np.arange(wide) + 0.5) / wide * 2 - 1).astype(np.float32)
    basis = np.stack([np.outer(at**down, at**across) for across, down in _POWERS])
    across, down = np.diff(basis, axis=2), np.diff(basis, axis=1)
    return basis, across.reshape(len(_POWERS), -1), down.reshape(len(_POWERS), -1)


def _smooth(waves: Waves, window: int) -> Waves:
    real, imaginary = (
        pixels.mean(pixels.mean(np.ascontiguousarray(part, np.float32), window), window)
        for part in (waves.real, waves.imag)
    )
    return _complex(real, imaginary)


def _complex(real: Field, imaginary: Field) -> Waves:
    return np.asarray(real + 1j * imaginary, np.complex64)


@lru_cache(maxsize=1)
def _finder() -> Field:
    _, dark = symbol_patterns.fixed_modules(21)
    return np.pad(np.where(dark[:7, :7], -1.0, 1.0).astype(np.float32), 1, constant_values=1.0)
