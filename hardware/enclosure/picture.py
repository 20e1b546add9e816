"""Draws triangles: straight projection, a depth buffer, light from above left, edges in black."""

from collections import defaultdict
from pathlib import Path

import numpy as np
from matplotlib.image import imsave

from hardware.enclosure.mesh import Mesh

Colour = tuple[int, int, int]
LIGHT = np.array([-0.35, 0.55, 0.75]) / np.linalg.norm([-0.35, 0.55, 0.75])


def turned(points: np.ndarray, around_y: float, around_x: float) -> np.ndarray:
    """Turned by degrees: first to the side, then towards the one who looks."""
    a, b = np.radians(around_y), np.radians(around_x)
    side = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    out: np.ndarray = points @ (tilt @ side).T
    return out


def view(
    parts: list[tuple[Mesh, Colour]],
    around_y: float,
    around_x: float,
    width: int,
    height: int,
    scale: float,
) -> np.ndarray:
    """The parts as one picture of `width` x `height`; `scale` pixels a millimetre."""
    fine = 2
    w, h = width * fine, height * fine
    colour = np.full((h, w, 3), 255.0)
    depth = np.full((h, w), -np.inf)
    every = np.concatenate([turned(mesh.reshape(-1, 3), around_y, around_x) for mesh, _ in parts])
    middle = (every.min(axis=0) + every.max(axis=0)) / 2
    edges: list[tuple[np.ndarray, np.ndarray]] = []
    for mesh, base in parts:
        seen = (turned(mesh.reshape(-1, 3), around_y, around_x) - middle) * scale * fine
        seen[:, 0] += w / 2
        seen[:, 1] = h / 2 - seen[:, 1]
        seen = seen.reshape(-1, 3, 3)
        across = turned(
            np.cross(mesh[:, 1] - mesh[:, 0], mesh[:, 2] - mesh[:, 0]), around_y, around_x
        )
        length = np.linalg.norm(across, axis=1)
        normals = across / np.where(length > 0, length, 1)[:, None]
        for corners, normal in zip(seen[length > 0], normals[length > 0], strict=True):
            if normal[2] > 0:
                shade = 0.45 + 0.55 * max(0.0, float(normal @ LIGHT))
                _fill(colour, depth, corners, np.array(base) * shade)
        edges += _sharp(mesh, seen, normals)
    for a, b in edges:
        _line(colour, depth, a, b, fine)
    small: np.ndarray = colour.reshape(height, fine, width, fine, 3).mean(axis=(1, 3))
    return small


def _fill(colour: np.ndarray, depth: np.ndarray, corners: np.ndarray, paint: np.ndarray) -> None:
    h, w = depth.shape
    x1, y1 = np.floor(corners[:, :2].min(axis=0)).astype(int).clip(0)
    x2, y2 = np.ceil(corners[:, :2].max(axis=0)).astype(int) + 1
    x2, y2 = min(x2, w), min(y2, h)
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = corners
    area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    if abs(area) < 1e-9 or x1 >= x2 or y1 >= y2:
        return
    ys, xs = np.mgrid[y1:y2, x1:x2] + 0.5
    u = ((bx - xs) * (cy - ys) - (cx - xs) * (by - ys)) / area
    v = ((cx - xs) * (ay - ys) - (ax - xs) * (cy - ys)) / area
    z = u * az + v * bz + (1 - u - v) * cz
    part = depth[y1:y2, x1:x2]
    inside = (u >= -1e-6) & (v >= -1e-6) & (u + v <= 1 + 1e-6) & (z > part)
    part[inside] = z[inside]
    colour[y1:y2, x1:x2][inside] = paint


def _sharp(
    mesh: Mesh, seen: np.ndarray, normals: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Edges between faces that differ by more than 35 degrees."""
    sides = defaultdict(list)
    keys = np.round(mesh, 3)
    for i, corners in enumerate(keys.tolist()):
        for a in range(3):
            ends = sorted((tuple(corners[a]), tuple(corners[(a + 1) % 3])))
            sides[tuple(ends)].append((i, a))
    found = []
    for pair in sides.values():
        (i, a), (j, _) = pair[0], pair[-1]
        if (
            normals[i] @ normals[j] < np.cos(np.radians(35))
            and max(normals[i][2], normals[j][2]) > 0
        ):
            found.append((seen[i][a], seen[i][(a + 1) % 3]))
    return found


def _line(colour: np.ndarray, depth: np.ndarray, a: np.ndarray, b: np.ndarray, fine: int) -> None:
    h, w = depth.shape
    steps = int(np.abs(b - a)[:2].max()) + 2
    points = a + (b - a) * np.linspace(0, 1, steps)[:, None]
    x, y = points[:, 0].astype(int), points[:, 1].astype(int)
    for dx in range(fine):
        xs, ys = (x + dx).clip(0, w - 1), y.clip(0, h - 1)
        shown = points[:, 2] > depth[ys, xs] - 1.5 * fine
        colour[ys[shown], xs[shown]] = 40


def draw(front: Mesh, back: Mesh, contents: Mesh, to: Path) -> None:
    """Closed; the back with what it carries; the front from within."""
    grey, dark, green = (196, 202, 208), (150, 158, 168), (120, 190, 140)
    upright = front * [1, -1, -1] + [0, 0, 60]  # from how it is printed to how it hangs
    views = [
        view([(upright, grey), (back, dark)], -28, 14, 460, 640, 2.7),
        view([(back, dark), (contents, green)], -28, 14, 460, 640, 2.7),
        view([(upright, grey)], 180 - 28, 14, 460, 640, 2.7),
    ]
    imsave(to, np.concatenate(views, axis=1).clip(0, 255).astype(np.uint8))
