"""Make the STL files and the picture anew: `python -m hardware.enclosure`, or `make enclosure`."""

from concurrent.futures import ThreadPoolExecutor

from hardware.enclosure import mesh, picture

if __name__ == "__main__":
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(mesh.make, (*mesh.PARTS, "contents")))
    for part, triangles in zip(mesh.PARTS, made, strict=False):
        mesh.write(triangles, mesh.HERE / f"{part}.stl")
    picture.draw(*made, mesh.HERE / "housing.png")
