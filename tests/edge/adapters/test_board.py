"""A card belongs to one board: the one it names, or the first one that it ran on."""

from pathlib import Path

import pytest

from edge.adapters import board
from edge.wire import unit
from edge.wire.unit import ConfigError
from tests.conftest import write_unit

HERE, THERE = "10000000deadbeef", "1000000012345678"


def test_a_pis_number_is_read(tmp_path: Path) -> None:
    file = tmp_path / "serial-number"
    file.write_bytes(HERE.encode() + b"\0")
    assert board.serial(file) == HERE


@pytest.mark.parametrize("content", [None, b"", b"\xff\xff\0", b"two words\0", b"x" * 33])
def test_a_machine_without_one_has_none(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "serial-number"
    if content is not None:
        file.write_bytes(content)
    assert board.serial(file) is None


def test_the_first_start_binds_and_the_next_ones_hold(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert board.bind(state, None, HERE)
    assert not board.bind(state, None, HERE)
    for other in (THERE, None):
        with pytest.raises(ConfigError, match=f"belongs to the board {HERE}.*put it back"):
            board.bind(state, None, other)
    assert not board.bind(state, None, HERE), "a refused start has changed the card"


def test_a_card_that_names_its_board_needs_no_first_start(tmp_path: Path) -> None:
    assert not board.bind(tmp_path, HERE, HERE)
    with pytest.raises(ConfigError, match="belongs to the board"):
        board.bind(tmp_path, HERE, THERE)
    assert not (tmp_path / board.FILE).exists()


def test_a_machine_without_a_number_binds_nothing(tmp_path: Path) -> None:
    assert not board.bind(tmp_path, None, None)
    assert not (tmp_path / board.FILE).exists()
    with pytest.raises(ConfigError, match="no serial number"):
        board.rebind(tmp_path, None, None)


def test_a_replaced_board_is_said_by_hand(tmp_path: Path) -> None:
    board.bind(tmp_path, None, HERE)
    board.rebind(tmp_path, None, THERE)
    assert not board.bind(tmp_path, None, THERE)
    with pytest.raises(ConfigError, match="names the board"):
        board.rebind(tmp_path, HERE, THERE)


def test_a_disk_that_is_lost_keeps_no_unit_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file")
    assert not board.bind(tmp_path / "state", None, HERE)
    assert "this card is not bound to this board" in caplog.text


def test_a_torn_file_is_told_and_put_right_by_hand(tmp_path: Path) -> None:
    (tmp_path / board.FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"does not hold a board's number.*rebind"):
        board.bind(tmp_path, None, HERE)
    board.rebind(tmp_path, None, HERE)
    assert not board.bind(tmp_path, None, HERE)


def test_a_unit_may_name_its_board(tmp_path: Path) -> None:
    assert unit.read(write_unit(tmp_path, 1_800_000_000, board=HERE)).board == HERE
    with pytest.raises(ConfigError, match="board"):
        unit.read(write_unit(tmp_path, 1_800_000_000, board="../x"))
