"""Triangle meshes of printed parts: rendered by OpenSCAD, read and written as STL, measured."""

import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
MODEL = HERE / "housing.scad"
PARTS = ("front", "back")

Mesh = np.ndarray
"""Shape (n, 3, 3): triangles, corners, x y z in millimetres; counterclockwise from outside."""


def render(part: str) -> Mesh:
    """Render `part` of the model; an empty part gives an array without triangles.

    Raises RuntimeError with OpenSCAD's output.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "part.stl"
        result = subprocess.run(
            ["openscad", "-D", f'part="{part}"', "-o", str(file), str(MODEL)],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        if "top level object is empty" in result.stderr:
            return np.zeros((0, 3, 3))
        if result.returncode or "WARNING" in result.stderr:
            raise RuntimeError(result.stderr)
        numbers = re.findall(r"vertex (\S+) (\S+) (\S+)", file.read_text(encoding="ascii"))
    mesh = np.array(numbers, dtype=float).reshape(-1, 3, 3)
    return mesh[np.lexsort(mesh.reshape(-1, 9).T)]


def write(mesh: Mesh, to: Path) -> None:
    """Write a binary STL file."""
    records = np.zeros(len(mesh), dtype=[("numbers", "<f4", 12), ("rest", "<u2")])
    across = np.cross(mesh[:, 1] - mesh[:, 0], mesh[:, 2] - mesh[:, 0])
    length = np.linalg.norm(across, axis=1, keepdims=True)
    normals = across / np.where(length > 0, length, 1)
    records["numbers"] = np.concatenate([normals, mesh.reshape(-1, 9)], axis=1)
    header = b"Menshen housing, millimetres".ljust(80)
    to.write_bytes(header + np.uint32(len(mesh)).tobytes() + records.tobytes())


def read(file: Path) -> Mesh:
    """Read a binary STL file."""
    data = file.read_bytes()
    count = int.from_bytes(data[80:84], "little")
    records = np.frombuffer(data[84:], dtype=[("numbers", "<f4", 12), ("rest", "<u2")], count=count)
    return records["numbers"][:, 3:].reshape(-1, 3, 3).astype(float)


def open_edges(mesh: Mesh) -> int:
    """Count edges that do not occur once in each direction: 0 for a closed surface."""
    corners = [tuple(corner) for corner in np.round(mesh.reshape(-1, 3), 4).tolist()]
    edges: Counter[tuple[object, object]] = Counter()
    for i in range(0, len(corners), 3):
        for a, b in ((0, 1), (1, 2), (2, 0)):
            edges[corners[i + a], corners[i + b]] += 1
    return sum(count != edges[b, a] for (a, b), count in edges.items())


def solids(mesh: Mesh) -> int:
    """Count the separate pieces: triangles that share a corner are one piece."""
    corners, index = np.unique(np.round(mesh.reshape(-1, 3), 4), axis=0, return_inverse=True)
    parent = list(range(len(corners)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b, c in index.reshape(-1, 3).tolist():
        parent[root(a)] = root(b)
        parent[root(b)] = root(c)
    return len({root(i) for i in range(len(corners))})


def volume_mm3(mesh: Mesh) -> float:
    return float(np.einsum("ij,ij->i", mesh[:, 0], np.cross(mesh[:, 1], mesh[:, 2])).sum() / 6)


def size_mm(mesh: Mesh) -> tuple[float, float, float]:
    low, high = mesh.reshape(-1, 3).min(axis=0), mesh.reshape(-1, 3).max(axis=0)
    x, y, z = (high - low).round(3).tolist()
    return x, y, z
