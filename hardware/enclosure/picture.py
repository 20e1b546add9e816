"""Renders meshes: parallel projection, depth buffer, light from the upper left, black edges."""

from collections import defaultdict
from pathlib import Path

import numpy as np
from matplotlib.image import imsave

from hardware.enclosure.mesh import Mesh

Colour = tuple[int, int, int]
LIGHT = np.array([-0.35, 0.55, 0.75]) / np.linalg.norm([-0.35, 0.55, 0.75])


def rotated(points: np.ndarray, around_y: float, around_x: float) -> np.ndarray:
    """Return `points` rotated by degrees: first around y, then around x."""
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
    """Render the parts as a picture of `width` x `height`; `scale` is pixels per millimetre."""
    fine = 2
    w, h = width * fine, height * fine
    colour = np.full((h, w, 3), 255.0)
    depth = np.full((h, w), -np.inf)
    every = np.concatenate([rotated(mesh.reshape(-1, 3), around_y, around_x) for mesh, _ in parts])
    middle = (every.min(axis=0) + every.max(axis=0)) / 2
    edges: list[tuple[np.ndarray, np.ndarray]] = []
    for mesh, base in parts:
        projected = (rotated(mesh.reshape(-1, 3), around_y, around_x) - middle) * scale * fine
        projected[:, 0] += w / 2
        projected[:, 1] = h / 2 - projected[:, 1]
        projected = projected.reshape(-1, 3, 3)
        across = rotated(
            np.cross(mesh[:, 1] - mesh[:, 0], mesh[:, 2] - mesh[:, 0]), around_y, around_x
        )
        length = np.linalg.norm(across, axis=1)
        normals = across / np.where(length > 0, length, 1)[:, None]
        for corners, normal in zip(projected[length > 0], normals[length > 0], strict=True):
            if normal[2] > 0:
                shade = 0.45 + 0.55 * max(0.0, float(normal @ LIGHT))
                _fill(colour, depth, corners, np.array(base) * shade)
        edges += _sharp(mesh, projected, normals)
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
    mesh: Mesh, projected: np.ndarray, normals: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the visible edges between faces that differ by more than 35 degrees."""
    sides = defaultdict(list)
    keys = np.round(mesh, 3)
    for i, corners in enumerate(keys.tolist()):
        for a in range(3):
            ends = sorted((tuple(corners[a]), tuple(corners[(a + 1) % 3])))
            sides[tuple(ends)].append((i, a))
    edges = []
    for pair in sides.values():
        (i, a), (j, _) = pair[0], pair[-1]
        if (
            normals[i] @ normals[j] < np.cos(np.radians(35))
            and max(normals[i][2], normals[j][2]) > 0
        ):
            edges.append((projected[i][a], projected[i][(a + 1) % 3]))
    return edges


def _line(colour: np.ndarray, depth: np.ndarray, a: np.ndarray, b: np.ndarray, fine: int) -> None:
    h, w = depth.shape
    steps = int(np.abs(b - a)[:2].max()) + 2
    points = a + (b - a) * np.linspace(0, 1, steps)[:, None]
    x, y = points[:, 0].astype(int), points[:, 1].astype(int)
    for dx in range(fine):
        xs, ys = (x + dx).clip(0, w - 1), y.clip(0, h - 1)
        visible = points[:, 2] > depth[ys, xs] - 1.5 * fine
        colour[ys[visible], xs[visible]] = 40


def draw(front: Mesh, back: Mesh, contents: Mesh, to: Path) -> None:
    """Write the picture: the closed housing, the back with its contents, the front from inside."""
    grey, dark, green = (196, 202, 208), (150, 158, 168), (120, 190, 140)
    upright = front * [1, -1, -1] + [0, 0, 60]  # from the printing position to the mounted position
    views = [
        view([(upright, grey), (back, dark)], -28, 14, 460, 640, 2.7),
        view([(back, dark), (contents, green)], -28, 14, 460, 640, 2.7),
        view([(upright, grey)], 180 - 28, 14, 460, 640, 2.7),
    ]
    imsave(to, np.concatenate(views, axis=1).clip(0, 255).astype(np.uint8))
