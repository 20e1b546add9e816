"""Regenerate the STL files and the picture: `python -m hardware.enclosure`, or `make enclosure`."""

from concurrent.futures import ThreadPoolExecutor

from hardware.enclosure import mesh, picture

if __name__ == "__main__":
    with ThreadPoolExecutor() as pool:
        front, back, contents = pool.map(mesh.render, (*mesh.PARTS, "contents"))
    mesh.write(front, mesh.HERE / "front.stl")
    mesh.write(back, mesh.HERE / "back.stl")
    picture.draw(front, back, contents, mesh.HERE / "housing.png")
