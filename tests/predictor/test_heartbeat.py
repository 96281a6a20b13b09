"""Who is silent for too long hangs, and what held up the listener is no silence."""

from __future__ import annotations

import pytest

from antecache.predictor.heartbeat import FIT, Patience, Pulse, interval
from antecache.predictor.messages import Alive


def looks(patience: Patience, seconds: float) -> bool:
    """Whether it hangs after so much silence, looked at as often as it should be."""
    return any(patience.waited(patience.look) for _ in range(int(seconds / patience.look)))


def test_silence_is_counted_from_the_last_message() -> None:
    patience = Patience(60)
    patience.heard(Alive())
    for _ in range(10):
        assert not looks(patience, 50)
        patience.heard(None)
    assert looks(patience, 60)
    assert patience.reason == "gave no sign of life for 60 s"


def test_the_last_sign_names_what_it_hangs_in() -> None:
    patience = Patience(8)
    patience.heard(Alive("the import of a\nb.csv"))
    assert looks(patience, 9)
    assert patience.reason == "gave no sign of life for 8 s in the import of a b.csv"


def test_a_start_is_given_half_a_minute() -> None:
    patience = Patience(4)
    assert not looks(patience, 29)
    assert looks(patience, 2)
    assert "its start" in patience.reason


def test_that_the_server_was_held_up_is_no_silence() -> None:
    patience = Patience(60)
    patience.heard(Alive())
    assert not any(patience.waited(3600) for _ in range(20))  # the machine slept each time
    patience.heard(Alive())
    patience.listening = False  # a large state is being read
    assert not looks(patience, 600)
    patience.listening = True
    assert looks(patience, 60)


def test_without_a_limit_nobody_hangs() -> None:
    patience = Patience(0)
    assert not looks(patience, 10_000)


@pytest.mark.parametrize(("patience", "wanted"), [(0, 1.0), (60, 1.0), (4, 1.0), (1, 0.25)])
def test_four_signs_fit_into_the_patience(patience: float, wanted: float) -> None:
    assert interval(patience) == wanted


def test_a_sign_is_given_once_a_second_and_at_the_ends_of_what_takes_long() -> None:
    now, sent = 0.0, []
    pulse = Pulse(lambda alive: sent.append((now, alive.job)), clock=lambda: now)
    for tenth in range(25):
        now = tenth / 10
        pulse.beat()
    pulse.begin(FIT)
    pulse.beat()
    pulse.beat()
    assert sent == [(0.0, ""), (1.0, ""), (2.0, ""), (2.4, FIT), (2.4, "")]
