"""Upright boxes in a frame: left, top, right, bottom in pixels; right and bottom are outside."""

from edge.sight.frame import Corners

Box = tuple[int, int, int, int]


def around(corners: Corners) -> Box:
    """What encloses `corners`."""
    across, down = zip(*corners, strict=True)
    return min(across), min(down), max(across), max(down)


def area(box: Box) -> int:
    """Square pixels; 0 where nothing is inside."""
    left, top, right, bottom = box
    return max(0, right - left) * max(0, bottom - top)


def shared(one: Box, other: Box) -> int:
    """The area of what is in both."""
    return area(
        (max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3]))
    )


def union(one: Box, other: Box) -> Box:
    """What encloses both."""
    return (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )


def meet(one: Box, other: Box) -> bool:
    """Whether they are about the same thing: much of the smaller is in the larger."""
    return shared(one, other) > 0.4 * min(area(one), area(other))
