"""The bench of sight counts rightly: who reads nothing, lies, is slow or misses a bound is told."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import segno
from PIL import Image
from rich.console import Console

from tests import ROOT, scenes
from tests.bench.sight import __main__ as command
from tests.bench.sight import fetch, judge, photos, plots, publish, shown, work
from tests.bench.sight.photos import PhotosWrong
from tests.bench.sight.pool import measure
from tests.bench.sight.race import RaceRead, race
from tests.bench.sight.readers import PEERS, Read, Reader, zbar, zxing
from tests.bench.sight.rows import Row, Section, missed, sections
from tests.bench.sight.said import among
from tests.bench.sight.sources import COLLECTIONS, Collection
from tests.bench.sight.visits import FRAMES, attend, paired
from tests.bench.sight.work import DecoderResult, Run, Task
from tests.scenes.sweep import easy

pytestmark = pytest.mark.slow  # left out of make test-quick

QUIET = Console(quiet=True)


def picture(text: str, number: int = 0, **look: object) -> scenes.Luma:
    rng = np.random.default_rng((3, number))
    return scenes.still(text, rng, replace(easy(text, rng), **look))  # type: ignore[arg-type]


def run_of(read: Read, **of: object) -> Run:
    """A run in which `read` is ours."""
    return Run(seed=1, readers=(Reader("menshen", read), *PEERS), **of)  # type: ignore[arg-type]


def album(folder: Path, texts: Sequence[str], corpus: str = "boofcv") -> Path:
    """A folder of photographs with its truth."""
    folder.mkdir()
    listed = []
    for number, text in enumerate(texts):
        file = f"{number}.png"
        cv2.imwrite(str(folder / file), picture(text, number))
        listed.append({"file": file, "corpus": corpus, "category": "made", "texts": [text]})
    (folder / "truth.json").write_text(json.dumps(listed))
    return folder


def photographs(folder: Path, read: Read) -> list[DecoderResult]:
    run = run_of(read, folder=folder, photos=tuple(photos.load(folder)))
    return [work.do(Task("photo", 0, 0, i, 1), run) for i in range(len(run.photos))]


def row(seen: Sequence[DecoderResult], key: str) -> Row:
    return next(row for section in sections(seen) for row in section.rows if row.key == key)


def test_who_reads_nothing_scores_nothing_and_misses_the_bound(tmp_path: Path) -> None:
    seen = photographs(album(tmp_path / "a", ["DC1:ONE", "DC1:TWO"]), lambda luma: [])
    assert row(seen, "boofcv").values["menshen"] == 0
    assert row(seen, "boofcv").values["zxing-cpp"] == 100
    assert row(seen, "boofcv").within is False
    assert row(seen, "false").values["menshen"] == 0
    assert {"boofcv"} <= {row.key for row in missed(sections(seen))}


def test_who_reads_all_scores_all(tmp_path: Path) -> None:
    seen = photographs(album(tmp_path / "a", ["DC1:ONE", "DC1:TWO"]), zxing)
    assert row(seen, "boofcv").values["menshen"] == 100
    assert row(seen, "boofcv").within is True


def test_a_lie_is_a_false_read_and_named_by_its_file(tmp_path: Path) -> None:
    seen = photographs(album(tmp_path / "a", ["DC1:ONE"]), lambda luma: [*zxing(luma), b"LIE"])
    false = row(seen, "false")
    assert row(seen, "boofcv").values["menshen"] == 100  # it was read as well
    assert false.values == {"menshen": 1} | {peer.name: 0 for peer in PEERS}
    assert false.within is False
    assert false.notes == ("false: menshen: photo 0.png: 'LIE'",)


def test_a_text_that_two_families_find_is_not_false_where_the_truth_is_another(
    tmp_path: Path,
) -> None:
    folder = album(tmp_path / "a", ["DC1:ONE"])
    truth = json.loads((folder / "truth.json").read_text())
    truth[0]["texts"] = ["ANOTHER"]
    (folder / "truth.json").write_text(json.dumps(truth))
    seen = photographs(folder, zxing)
    assert row(seen, "boofcv").values["menshen"] == 0
    assert row(seen, "false").values["menshen"] == 0


def test_a_text_that_nobody_can_judge_is_shown_apart(tmp_path: Path) -> None:
    folder = album(tmp_path / "a", ["DC1:ONE"])
    truth = json.loads((folder / "truth.json").read_text())
    truth[0]["texts"] = []
    (folder / "truth.json").write_text(json.dumps(truth))
    seen = photographs(folder, lambda luma: [b"WHO KNOWS"])
    assert row(seen, "false").values["menshen"] == 0
    assert row(seen, "alone").values["menshen"] == 1
    assert row(seen, "boofcv").values["menshen"] == 0  # and it is no read


def test_a_text_in_several_photographs_is_a_symbol_that_others_miss(tmp_path: Path) -> None:
    folder = album(tmp_path / "a", ["DC1:ONE", "DC1:TWO"])
    seen = photographs(folder, lambda luma: [*zxing(luma), b"SIDE"])
    assert row(seen, "false").values["menshen"] == 0
    assert row(seen, "again").values["menshen"] == 2
    guess = "蹬靼".encode()  # a wrong guess at an encoding is wrong each time
    seen = photographs(folder, lambda luma: [*zxing(luma), guess])
    assert row(seen, "false").values["menshen"] == 2


def test_a_lie_in_a_scene_or_in_an_empty_frame_is_false() -> None:
    run = run_of(lambda luma: [b"LIE"])
    seen = [work.do(Task(kind, 8, 0, 0, 1), run) for kind in ("still", "dark", "visit")]
    seen.append(work.do(Task("empty", 0, 0, 0, 1), run))
    told = row(seen, "false")
    assert told.values["menshen"] > 3 + work.EMPTY_FRAMES - 1
    assert told.values["zxing-cpp"] == 0
    assert row(seen, "scenes_8").values["menshen"] == 0


def test_a_text_that_pyzbar_guesses_wrongly_is_alone() -> None:
    said = "ﾃﾞｻﾞｲﾝQR".encode("shift_jis")
    made = segno.make_qr(said, error="m")
    dark = np.array([list(line) for line in made.matrix_iter(border=4)], bool)
    small = np.where(dark, 0, 255).astype(np.uint8)
    luma = cv2.resize(small, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    assert zxing(luma) == [said]
    assert zbar(luma) != [said]
    assert judge.alone(luma, zbar(luma), frozenset()) == zbar(luma)


def test_texts_are_compared_as_people_mean_them() -> None:
    assert among(b"a\r\nb ", ["a\nb"])
    assert among("ダブル".encode("shift_jis"), ["ダブル"])
    assert not among(b"a", ["b", "A"])


def test_frames_that_arrive_while_it_is_busy_are_dropped_and_the_newest_is_taken() -> None:
    looked: list[int] = []

    def look(number: int) -> RaceRead:
        looked.append(number)
        return RaceRead((), 0.030)  # here; 0.15 s at the door: two frames and a quarter

    attended = attend(b"T", look)
    assert looked == [0, 2, 4, 6, 9, 11]
    assert (attended.looked, attended.dropped) == (6, FRAMES - 6)
    assert attended.read_s is None


def test_who_is_quick_drops_nothing_and_waits_for_the_next_frame() -> None:
    attended = attend(b"T", lambda number: RaceRead((b"T",) if number == 3 else (), 0.001))
    assert attended.read_s == pytest.approx(3 / 15 + 0.005)
    assert (attended.looked, attended.dropped) == (4, 0)


def test_an_answer_after_the_visit_is_no_read() -> None:
    assert attend(b"T", lambda number: RaceRead((b"T",), 0.2)).read_s is None


def test_what_was_not_shown_is_no_read_and_remembered() -> None:
    attended = attend(b"T", lambda number: RaceRead((b"X",), 0.001))
    assert attended.read_s is None
    assert attended.wrong == (b"X",) * FRAMES


def test_the_error_of_a_paired_difference() -> None:
    ours, theirs = [True] * 80 + [False] * 20, [True] * 70 + [False] * 30
    mean, error = paired(ours, theirs)
    assert mean == pytest.approx(0.1)
    assert error == pytest.approx((0.1 * 0.9 / 99) ** 0.5)
    assert paired(ours, ours) == (0, 0)


def test_more_visits_must_be_more_than_the_error_of_their_count() -> None:
    def seen(more: int) -> list[DecoderResult]:
        made = []
        for i in range(200):
            read = {"menshen": i < 100 + more, "zxing-cpp": i < 100}
            attended = {n: attend(b"", lambda number: RaceRead((), 0.0)) for n in read}
            made.append(DecoderResult("visit", "8", "", str(i), read=read, attended=attended))
        return made

    assert row(seen(2), "visits_8_more").within is False
    assert row(seen(20), "visits_8_more").within is True
    assert row(seen(0), "visits_8_more").within is False


def test_who_begins_takes_turns_and_two_in_turn_cost_both() -> None:
    began: list[str] = []

    def named(name: str, said: list[bytes]) -> Reader:
        return Reader(name, lambda luma: began.append(name) or said)  # type: ignore[func-returns-value]

    readers = (named("a", []), named("b", [b"T"]), Reader("ab", None, first="a", after="b"))
    taken = race(np.zeros((4, 4), np.uint8), readers, 0)
    race(np.zeros((4, 4), np.uint8), readers, 1)
    assert began == ["a", "b", "b", "a"]
    assert taken["ab"].said == (b"T",)
    assert taken["ab"].cpu_s == taken["a"].cpu_s + taken["b"].cpu_s
    assert race(np.zeros((4, 4), np.uint8), (named("a", [b"T"]), *readers[1:]), 0)["ab"].said


def test_the_codes_of_the_scenes_are_real_and_as_large_as_they_say() -> None:
    for version in shown.KINDS:
        text = shown.code(version, 7)
        assert segno.make_qr(text, error="m", boost_error=False).version == version
        assert zxing(picture(text)) == [text.encode()]
        assert text != shown.code(version, 8)


def test_a_run_covers_every_section_in_one_process_or_two_alike(tmp_path: Path) -> None:
    folder = album(tmp_path / "a", ["DC1:ONE"])
    run = Run(1, folder, tuple(photos.load(folder)), PEERS)
    tasks = [task for task in work.tasks(1, run) if task.kind != "sweep" or task.group == 0]
    seen = measure(tasks, run, 2, QUIET)
    again = [work.do(task, run) for task in sorted(tasks) if task.kind in ("still", "dark")]
    assert [(s.name, s.read) for s in seen if s.kind in ("still", "dark")] == [
        (s.name, s.read) for s in again
    ]
    keys = {row.key for section in sections(seen) for row in section.rows}
    assert {"boofcv", "scenes_8", "scenes_12", "dark", "quiet_by_zxing"} <= keys
    assert {"rest_by_zxing", "held_by_zxing", "visits_8", "visits_12", "false"} <= keys
    made = plots.draw(seen, tmp_path / "plots")
    assert {path.name for path in made if path.suffix == ".png"} == {
        "categories.png",
        "costs.png",
        "hardships.png",
        "visits.png",
    }
    assert all(path.stat().st_size > 3000 for path in made)


def ran(*arguments: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "tests.bench.sight", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True)


@pytest.mark.system
def test_a_folder_without_photographs_is_told_in_one_sentence(tmp_path: Path) -> None:
    told = ran("--photos", tmp_path)
    assert told.returncode == 2
    assert "truth.json is not there" in told.stderr.replace("\n", " ")
    assert "Traceback" not in told.stderr
    (tmp_path / "truth.json").write_text('[{"file": 1}]')
    assert "not a list of photographs" in ran("--photos", tmp_path).stderr.replace("\n", " ")
    lost = [{"file": "x.jpg", "corpus": "boofcv", "category": "", "texts": []}]
    (tmp_path / "truth.json").write_text(json.dumps(lost))
    with pytest.raises(PhotosWrong, match=r"names x\.jpg"):
        photos.load(tmp_path)


def test_the_command_exits_with_1_when_a_bound_is_missed(tmp_path: Path) -> None:
    folder = album(tmp_path / "a", ["DC1:ONE"])
    words = ["--photos", str(folder), "--jobs", "1", "--json", str(tmp_path / "figures.json")]

    def code(read: Read) -> int:
        readers = (Reader("menshen", read), *PEERS)
        return command.main(words, readers, lambda count, run: [Task("photo", 0, 0, 0, 1)])

    assert code(lambda luma: []) == 1
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["figures"]["boofcv"]["within"] is False
    assert figures["photographs"]["0.png"]["zxing-cpp"] is True
    assert code(zxing) == 0


def tree(root: Path) -> None:
    """The four collections, made up: a picture or two in each, filed as theirs are."""

    def put(path: str, text: str, number: int, **look: object) -> Path:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), picture(text, number, **look)[160:560, 400:880])
        return file

    put("boofcv/boofcv-v3/detection/monitor/image001.jpg", "SCREEN", 1).with_suffix(
        ".txt"
    ).write_text("# list of hand selected 2D points\n1 2\n3 4\n")
    put("boofcv/boofcv-v3/detection/lots/image001.jpg", "MANY", 2)
    put("boofcv/boofcv-v3/detection/blurred/image001.jpg", "GONE", 3, defocus=30.0)
    put("jsqr/tests/end-to-end/7/input.png", "SEVEN", 4).with_name("output.json").write_text(
        json.dumps({"data": "SEVEN", "binaryData": []})
    )
    put("jsqr/tests/end-to-end/8/input.png", "EIGHT", 5).with_name("output.json").write_text("null")
    box = "zxing/core/src/test/resources/blackbox/qrcode-"
    for i in range(1, 7):
        put(f"{box}{i}/1.png", f"BOX {i}", 10 + i).with_suffix(".txt").write_text(f"BOX {i}\n")
    put(f"{box}1/2.png", "RAW", 20).with_suffix(".bin").write_bytes("ラ".encode("shift_jis"))
    samples = "zxing-cpp/test/samples/qrcode-"
    for i in range(1, 8):
        put(f"{samples}{i}/1.png", f"BOX {i}", 10 + i)  # 1 to 6 are zxing's own
    two = put(f"{samples}7/2in1.png", "UNUSED", 30).with_suffix(".toml")
    two.write_text('[[symbol]]\nTextPlain = "ONE"\n[[symbol]]\nTextEscaped = "A<CR><LF>B<b>"\n')
    (root / f"{samples}7/broken.png").write_bytes(b"version https://git-lfs")


def test_collections_become_one_folder_with_their_texts(tmp_path: Path) -> None:
    tree(tmp_path / "sources")
    folder = tmp_path / "photos"
    assert fetch.main([str(folder), "--sources", str(tmp_path / "sources")]) == 0
    listed = {photo.file: photo for photo in photos.load(folder)}
    texts = {file: photo.texts for file, photo in listed.items()}
    assert texts == {
        "boofcv_blurred_image001.jpg": [],
        "boofcv_monitor_image001.jpg": ["SCREEN"],
        "jsqr_7.jpg": ["SEVEN"],
        "jsqr_8.jpg": ["EIGHT"],
        **{f"zxing_qrcode-{i}_1.jpg": [f"BOX {i}\n"] for i in range(1, 7)},
        "zxing_qrcode-1_2.jpg": ["ラ"],
        "zxing-cpp_qrcode-7_1.jpg": ["BOX 7"],
        "zxing-cpp_qrcode-7_2in1.jpg": ["ONE", "A\r\nB<b>"],
    }
    assert listed["boofcv_monitor_image001.jpg"].category == "monitor"
    assert listed["zxing_qrcode-3_1.jpg"].corpus == "zxing"
    assert fetch.main([str(folder), "--sources", str(tmp_path / "sources")]) == 2  # nothing lost


@pytest.mark.system
def test_a_collection_is_brought_with_the_wanted_folders_alone(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    for path in ("wanted/1.txt", "other/large.bin"):
        (origin / path).parent.mkdir(parents=True)
        (origin / path).write_text("x")
    for words in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "--quiet", "-m", "all"],
    ):
        subprocess.run(["git", "-C", origin, *words], check=True)
    made = Collection("made", origin.as_uri(), ("wanted",), COLLECTIONS[0].walk)
    fetch.bring(made, tmp_path / "sources", QUIET)
    assert (tmp_path / "sources/made/wanted/1.txt").is_file()
    assert not (tmp_path / "sources/made/other").exists()
    fetch.bring(made, tmp_path / "sources", QUIET)  # is there already
    gone = Collection("gone", (tmp_path / "nowhere").as_uri(), ("wanted",), made.walk)
    with pytest.raises(PhotosWrong, match="could not be brought"):
        fetch.bring(gone, tmp_path / "sources", QUIET)


def test_a_tree_that_is_another_is_told(tmp_path: Path) -> None:
    tree(tmp_path / "sources")
    (tmp_path / "sources/jsqr/tests/end-to-end").rename(tmp_path / "away")
    assert fetch.main([str(tmp_path / "photos"), "--sources", str(tmp_path / "sources")]) == 2
    assert not (tmp_path / "photos/truth.json").exists()


def test_the_table_goes_between_its_marks_and_nowhere_else() -> None:
    table = publish.markdown([Section("a section", [Row("k", "  rate", "%", {"menshen": 81.25})])])
    assert "| **a section** |" in table
    assert "| rate, % | 81.2 | " in table
    readme = f"before\n{publish.BEGIN}\nold\n{publish.END}\nafter\n"
    once = publish.into(readme, table)
    assert once == publish.into(once, table)
    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "old" not in once
    with pytest.raises(ValueError, match="README"):
        publish.into("no marks", table)


def test_the_page_of_measurements_has_the_marks() -> None:
    assert publish.README == ROOT / "tests" / "bench" / "README.md"
    publish.into(publish.README.read_text(), "")


def test_a_measurement_renews_the_page_and_the_plots_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "bench" / "README.md"
    page.parent.mkdir()
    page.write_text(publish.README.read_text())
    monkeypatch.setattr(publish, "README", page)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "hardships.png")
    publish.publish([Section("a section", [Row("k", "rate", "%", {"menshen": 81.25})])], tmp_path)
    assert "| rate, % | 81.2 | " in page.read_text()
    assert page.with_name("sight.png").is_file()
    assert not page.with_name("sight-photographs.png").exists(), "it was not drawn"
