"""The command log on disk: every access, of sessions that nothing is learned from too."""

from __future__ import annotations

from pathlib import Path

from antecache.predictor.record import Recorder


def test_a_session_that_is_set_aside_is_recorded_under_its_own_number(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    recorder = Recorder(str(file), 1 << 20)
    recorder.block(1500, [4, b"a", ~9, None, b"b", [b"c", 1, 0.5, True], 4, True, b"d"])
    recorder.close()
    assert file.read_text().splitlines()[1:] == [
        "1.500,4,a,1,hit",
        "1.500,9,b,1,miss",
        "1.500,4,d,1,use",
    ]
