"""What people read of what is wrong."""

from dataclasses import replace
from pathlib import Path

import pytest

from realtime.messages import Health, SessionState, SourceHealth, SourceState
from tests.fakes.session import make_snapshot, replay_snapshot
from ui.present import notices, status
from ui.present.notices import Notice, Remedy, Severity

RUNNING = SourceHealth(name="Camera", state=SourceState.RUNNING)
OFF = SourceHealth(name="none")


def test_a_failed_session_offers_to_try_again() -> None:
    (notice,) = notices.notices(make_snapshot(SessionState.FAILED, message="Damaged."))
    assert notice == Notice(text="Damaged.", severity=Severity.ERROR, remedy=Remedy.SESSION)


def test_a_recording_that_cannot_be_read_offers_to_open_another() -> None:
    unread = replay_snapshot(SessionState.FAILED, health=Health(camera=OFF, microphone=OFF))
    assert notices.notices(unread)[0].remedy is Remedy.OPEN
    opened = replay_snapshot(SessionState.FAILED, health=Health(camera=OFF, microphone=RUNNING))
    assert notices.notices(opened)[0].remedy is Remedy.SESSION


def test_a_failed_camera_offers_to_try_again_only_live() -> None:
    failed = SourceHealth(name="Camera", state=SourceState.FAILED, message="it is in use")
    bad = make_snapshot(health=Health(camera=failed, microphone=RUNNING))
    (notice,) = notices.notices(bad)
    assert (notice.text, notice.remedy) == ("Camera: it is in use", Remedy.CAMERA)
    assert notices.notices(replay_snapshot(health=bad.health))[0].remedy is None


def test_two_failed_devices_are_told_of_and_tried_again_together() -> None:
    camera = SourceHealth(name="Camera", state=SourceState.FAILED, message="it is in use")
    microphone = SourceHealth(
        name="USB", state=SourceState.FAILED, message="there is no microphone: plug one in"
    )
    both = make_snapshot(health=Health(camera=camera, microphone=microphone))
    (notice,) = notices.notices(both)
    assert notice.text == "Camera: it is in use. There is no microphone: plug one in"
    assert (notice.severity, notice.remedy) == (Severity.ERROR, Remedy.DEVICES)


def test_a_device_is_named_once() -> None:
    failed = SourceHealth(name="Camera 7", state=SourceState.FAILED, message="camera 7 is in use")
    (notice,) = notices.notices(make_snapshot(health=Health(camera=failed, microphone=RUNNING)))
    assert notice.text == "Camera 7 is in use"
    gone = SourceHealth(
        name="USB", state=SourceState.FAILED, message="there is no microphone: plug one in"
    )
    (notice,) = notices.notices(make_snapshot(health=Health(camera=RUNNING, microphone=gone)))
    assert notice.text == "There is no microphone: plug one in"
    lost = SourceHealth(
        name="cam.local",
        state=SourceState.RETRYING,
        message="cam.local cannot be reached: check that the camera is on",
    )
    (notice,) = notices.notices(make_snapshot(health=Health(camera=lost, microphone=RUNNING)))
    assert notice.text == lost.message


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("there is no file my talk.mp4: check its name", None),
        ("nothing in my talk.mp4 can be decoded", None),
        ("no weights at live.safetensors", None),
        ("my talk.mp4 is empty", "my talk.mp4 is empty"),
        ("clips/my talk.mp4 is a folder", "clips/my talk.mp4 is a folder"),
        ("live.safetensors is damaged", "live.safetensors is damaged"),
    ],
)
def test_a_failure_is_a_sentence_and_file_names_stay_as_they_are(
    message: str, text: str | None
) -> None:
    failed = replay_snapshot(SessionState.FAILED, message=message)
    (notice,) = notices.notices(failed, recording=Path("clips/my talk.mp4"))
    assert notice.text == (text or message[0].upper() + message[1:])


def test_a_source_that_tries_again_is_a_warning() -> None:
    retrying = SourceHealth(name="Microphone", state=SourceState.RETRYING)
    bad = make_snapshot(health=Health(camera=RUNNING, microphone=retrying))
    assert [notice.severity for notice in notices.notices(bad)] == [Severity.WARNING]


def test_the_gravest_notice_comes_first() -> None:
    retrying = SourceHealth(name="Camera", state=SourceState.RETRYING)
    failed = SourceHealth(name="Microphone", state=SourceState.FAILED)
    told = notices.notices(make_snapshot(health=Health(camera=retrying, microphone=failed)))
    assert [notice.severity for notice in told] == [Severity.ERROR, Severity.WARNING]


def test_notes_about_a_recording_come_last() -> None:
    told = notices.notices(
        replay_snapshot(SessionState.FAILED, message="No.", notes=("It is cut off.",))
    )
    assert [notice.text for notice in told] == ["No.", "It is cut off."]
    assert notices.notices(make_snapshot()) == ()


def test_no_note_about_a_recording_hides_another() -> None:
    noted = replay_snapshot(notes=("the picture is damaged at 1.5 s", "the file is cut off"))
    (notice,) = notices.notices(noted)
    assert notice.text == "The picture is damaged at 1.5 s; the file is cut off"


def test_nobody_is_sent_to_another_camera_where_none_was_found() -> None:
    failed = SourceHealth(name="Camera 0", state=SourceState.FAILED)
    snapshot = make_snapshot(health=Health(camera=failed, microphone=failed))
    for found, advice in ((True, "Choose another camera above"), (False, "Connect a camera")):
        told = notices.empty_picture(snapshot, cameras=found)
        assert told == ("No picture", f"{advice}, or open a recording")


@pytest.mark.parametrize("state", SourceState)
def test_an_empty_picture_is_explained(state: SourceState) -> None:
    health = Health(camera=replace(RUNNING, state=state), microphone=RUNNING)
    title, _ = notices.empty_picture(make_snapshot(health=health))
    assert title
    assert state in status.STATE_COLOURS


def test_a_recording_has_no_picture_only_once_that_is_known() -> None:
    silent = Health(camera=OFF, microphone=RUNNING)
    title, _ = notices.empty_picture(replay_snapshot(health=silent))
    assert title == "This recording has no picture"
    assert notices.empty_picture(replay_snapshot()) == ("", "")


def test_what_is_wrong_with_a_recording_stays_until_it_is_dismissed() -> None:
    flawed = replay_snapshot(SessionState.ENDED, flaws=("the file is cut off",), notes=("done",))
    flaw, note = notices.notices(flawed)
    assert (flaw.text, flaw.severity) == ("The file is cut off", Severity.WARNING)
    assert note.severity is Severity.INFO


def test_a_device_that_sends_nothing_says_what_to_do() -> None:
    stalled = SourceHealth(name="Microphone", state=SourceState.STALLED)
    (notice,) = notices.notices(make_snapshot(health=Health(camera=RUNNING, microphone=stalled)))
    assert "Check its cable" in notice.text
