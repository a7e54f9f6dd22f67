"""What people read where a session stands still."""

from dataclasses import replace

from realtime.messages import Health, SessionState, SourceHealth, SourceState
from tests.fakes.session import make_prediction, make_snapshot, replay_snapshot
from ui.present import playback

RUNNING = SourceHealth(name="Camera", state=SourceState.RUNNING)


def test_a_picture_that_is_not_of_now_says_so() -> None:
    stalled = Health(camera=replace(RUNNING, state=SourceState.STALLED), microphone=RUNNING)
    assert playback.badge(make_snapshot()) == ""
    assert playback.badge(make_snapshot(health=stalled)) == "Camera stalled"
    assert playback.badge(make_snapshot(SessionState.PAUSED, health=stalled)) == "Paused"


def test_a_recording_that_stands_still_says_why() -> None:
    def told(state: SessionState, answered: bool = True, **changes: object) -> str:
        prediction = make_prediction(10) if answered else None
        return playback.badge(replay_snapshot(state, prediction=prediction, **changes))

    running, ended = SessionState.RUNNING, SessionState.ENDED
    assert told(running) == told(ended, playing=False, position=48.0) == ""
    assert told(running, False, position=20.0) == playback.WAITS_FOR_ANALYSIS
    assert told(running, position=15.8) == playback.SLOWED_BY_ANALYSIS
    assert told(ended, position=15.8) == ""
    for position in (15.8, 20.0, 48.0):
        assert told(running, position < 16.0, playing=False, position=position) == "Paused"
    assert told(ended, playing=False) == "Paused"
    assert told(SessionState.FAILED, playing=False) == ""
    for playing in (True, False):
        late = told(ended, playing=playing, picture_late=True)
        assert late == playback.PICTURE_FOLLOWS


def test_what_is_paused_can_go_on() -> None:
    assert playback.is_paused(make_snapshot(SessionState.PAUSED))
    assert playback.is_paused(replay_snapshot(playing=False))
    assert not any(map(playback.is_paused, (make_snapshot(), replay_snapshot())))
