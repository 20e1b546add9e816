"""`python -m tests.bench.sight fetch FOLDER`: bring the photographs, and write what they say.

Each collection is a git repository, of which only the wanted folders are brought. Its pictures
are fitted into 1280x720 in grey, once each (zxing-cpp took over most of ZXing's), and `truth.json`
names each with its texts: the collection's own, or, where it has none (BoofCV), what two families
of decoders agree on.
"""

import argparse
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import msgspec
import numpy as np
from rich.console import Console
from rich.progress import track

from tests.bench.sight import judge, photos
from tests.bench.sight.photos import Photo, PhotosWrong
from tests.bench.sight.said import plain
from tests.bench.sight.sources import COLLECTIONS, Collection, Found
from tests.scenes import Luma

ALIKE = 4  # luma levels, of 16 x 16 means: two files of one photograph
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95]


def main(arguments: Sequence[str]) -> int:
    """The command; 2 where it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sight fetch", description=__doc__)
    parser.add_argument("folder", type=Path, help="is made; holds truth.json at the end")
    parser.add_argument(
        "--sources",
        type=Path,
        help="the repositories, one folder each; what is there is not brought again "
        "(FOLDER/sources)",
    )
    given = parser.parse_args(arguments)
    told = Console(stderr=True, soft_wrap=True)
    sources = given.sources or given.folder / "sources"
    if (given.folder / "truth.json").exists():
        told.print(f"{given.folder} has a truth.json already; give another folder", style="red")
        return 2
    try:
        for collection in COLLECTIONS:
            bring(collection, sources, told)
        count = gather(COLLECTIONS, sources, given.folder, told)
    except PhotosWrong as error:
        told.print(str(error), style="red", highlight=False)
        return 2
    told.print(f"{count} photographs are in {given.folder}; next:", highlight=False)
    told.print(f"  python -m tests.bench.sight --photos {given.folder}", highlight=False)
    return 0


def bring(collection: Collection, sources: Path, told: Console) -> None:
    """Clone what is wanted of one repository, unless it is there. Raises PhotosWrong."""
    to = sources / collection.corpus
    if to.exists():
        told.print(f"{collection.corpus} is there already: {to}", highlight=False)
        return
    told.print(f"bringing {collection.corpus} from {collection.url}", highlight=False)
    sources.mkdir(parents=True, exist_ok=True)
    part = to.with_name(to.name + ".part")
    for command in (
        ["clone", "--quiet", "--depth=1", "--filter=blob:none", "--sparse", collection.url, part],
        ["-C", part, "sparse-checkout", "set", *collection.folders],
    ):
        try:
            subprocess.run(["git", *map(str, command)], check=True)
        except FileNotFoundError:
            raise PhotosWrong("git is not installed: apt install git") from None
        except subprocess.CalledProcessError:
            raise PhotosWrong(
                f"{collection.corpus} could not be brought (git's own words are above); remove "
                f"{part} and try again, or clone it yourself and give --sources"
            ) from None
    part.rename(to)


def gather(collections: Iterable[Collection], sources: Path, folder: Path, told: Console) -> int:
    """Fit, save and name every photograph; how many there are. Raises PhotosWrong."""
    folder.mkdir(parents=True, exist_ok=True)
    listed: list[Photo] = []
    kept: list[tuple[tuple[int, ...], Luma]] = []
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for collection in collections:
            found = _found(collection, sources / collection.corpus)
            read = pool.map(_read, found, chunksize=4)
            shown = track(read, collection.corpus, len(found), console=told, transient=True)
            alike = broken = mute = 0
            for one, result in zip(found, shown, strict=True):
                if result is None:
                    broken += 1
                    continue
                luma, texts = result
                seen = luma.shape, cv2.resize(luma, (16, 16), interpolation=cv2.INTER_AREA)
                if collection.corpus == "zxing-cpp" and any(_same(seen, other) for other in kept):
                    alike += 1
                    continue
                kept.append(seen)
                mute += not texts
                file = f"{collection.corpus}_{one.name}.jpg"
                cv2.imwrite(str(folder / file), luma, JPEG)
                listed.append(Photo(file, collection.corpus, one.category, texts))
            told.print(
                f"{collection.corpus}: {len(found) - alike - broken} photographs, {mute} that "
                f"nobody reads, {alike} that another collection has, {broken} that are no pictures",
                highlight=False,
            )
            if broken == len(found):
                raise PhotosWrong(
                    f"no picture of {collection.corpus} can be read; was it brought whole?"
                )
    part = folder / "truth.json.part"
    part.write_bytes(msgspec.json.format(msgspec.json.encode(listed), indent=1))
    part.rename(folder / "truth.json")
    return len(listed)


def _found(collection: Collection, root: Path) -> list[Found]:
    found = []
    for folder in collection.folders:
        if not (root / folder).is_dir():
            raise PhotosWrong(f"{root} has no {folder}: it is not {collection.url}")
        found += collection.walk(root / folder)
    if not found:
        raise PhotosWrong(f"no pictures below {root}")
    return list(found)


def _read(one: Found) -> tuple[Luma, list[str]] | None:
    """The fitted picture and its texts; None: it is no picture."""
    cv2.setNumThreads(1)
    try:
        luma = photos.luma(one.path)
    except PhotosWrong:
        return None
    texts = [text for text in one.texts or () if plain(text)]
    return luma, texts or judge.agreed(luma)


def _same(one: tuple[tuple[int, ...], Luma], other: tuple[tuple[int, ...], Luma]) -> bool:
    return one[0] == other[0] and bool(np.abs(one[1].astype(np.int16) - other[1]).max() <= ALIKE)
