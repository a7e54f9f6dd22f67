"""Every view paints from an answer, from one that rests on nothing, and from none at all."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPoint, QRect, QRectF, Qt
from PyQt6.QtGui import QFont, QHelpEvent, QIcon, QImage, QTextDocument
from PyQt6.QtWidgets import QApplication, QLabel, QToolTip, QWidget
from pytestqt.qtbot import QtBot

from models.arrays import FloatArray
from models.config import MODALITIES
from models.labels import EMOTIONS
from realtime.emotion.reasons import NO_FACE, SILENCE
from realtime.messages import LOW_CONFIDENCE, Playback, Prediction, SourceHealth, SourceState
from tests.fakes.session import (
    DrawnPictures,
    FakeLiveSession,
    ManualTime,
    absent_prediction,
    face_at,
    make_prediction,
    make_snapshot,
)
from tests.ui.conftest import click, double_click, has_colour, share_of_colour, turn_wheel
from ui import icons, palette, rendering
from ui.actions import make_actions
from ui.answer_view import AnswerView
from ui.attention_view import AttentionView
from ui.controls import Choice, ElidedLabel
from ui.loading_view import LoadingView
from ui.panel import Panel, text_width
from ui.present.answer import NOT_SURE, absence, tag
from ui.present.answer import answer as shown_answer
from ui.present.playback import WAITS_FOR_ANALYSIS
from ui.present.status import status_cells
from ui.share_view import OPINION, ShareView
from ui.spectrogram_view import SpectrogramView
from ui.status_view import StatusView
from ui.theme import BODY, CAPTION, PADDING, Theme
from ui.timeline_view import TimelineView
from ui.transport_view import TransportView
from ui.video_view import HEATMAP_CAPTION, HEATMAP_ENDS, NO_FACE_HERE, VideoView

PICTURES = DrawnPictures()
VIEWS: dict[str, Callable[[Theme], QWidget]] = {
    "answer": lambda theme: AnswerView(EMOTIONS, 3.0, theme),
    "shares": lambda theme: ShareView(MODALITIES, theme),
    "attention": lambda theme: AttentionView(MODALITIES, theme),
    "spectrogram": lambda theme: SpectrogramView(3.0, theme),
    "video": VideoView,
}
PREDICTIONS = {
    "both": make_prediction(10, face_at(PICTURES, 1.0)),
    "silence": make_prediction(70),
    "absent": absent_prediction(),
    "none": None,
}


def painted(widget: QWidget) -> QImage:
    return widget.grab().toImage()


@pytest.mark.parametrize("scale", [0.84, 2.2])
@pytest.mark.parametrize("prediction", PREDICTIONS.values(), ids=PREDICTIONS)
@pytest.mark.parametrize("view", VIEWS)
def test_views_paint_whatever_there_is(
    qtbot: QtBot, view: str, prediction: Prediction | None, scale: float
) -> None:
    widget = VIEWS[view](Theme(scale))
    qtbot.addWidget(widget)
    widget.resize(round(390 * scale), round(220 * scale))
    hint = widget.sizeHint()
    widget.show_prediction(prediction)  # type: ignore[attr-defined]
    assert not painted(widget).isNull()
    assert widget.accessibleName()
    assert widget.sizeHint() == hint  # what is shown never moves the layout


@pytest.mark.parametrize("view", VIEWS)
def test_views_survive_being_tiny(qtbot: QtBot, view: str) -> None:
    widget = VIEWS[view](Theme())
    qtbot.addWidget(widget)
    widget.resize(3, 3)
    widget.show_prediction(PREDICTIONS["both"])  # type: ignore[attr-defined]
    painted(widget)


# -- answer and shares -------------------------------------------------------------------------


def test_bars_approach_their_values_smoothly(qtbot: QtBot) -> None:
    view = AnswerView(EMOTIONS, 3.0, Theme())
    qtbot.addWidget(view)
    view.resize(390, 260)
    view.show_prediction(make_prediction(10))
    before = painted(view)
    view.advance(0.05)
    between = painted(view)
    for _ in range(100):
        view.advance(0.05)
    after = painted(view)
    assert before != between != after
    assert has_colour(after, palette.EMOTION_COLOURS["neutral"])


def test_while_bars_move_no_words_are_written_anew(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = AnswerView(EMOTIONS, 3.0, Theme())
    qtbot.addWidget(view)
    view.resize(390, 260)
    view.show()
    view.show_prediction(make_prediction(10))
    qtbot.waitExposed(view)
    painted(view)
    QApplication.processEvents()
    written: list[str] = []
    monkeypatch.setattr("ui.answer_view.write", lambda _, __, text, *rest: written.append(text))
    lengths: list[float] = []
    monkeypatch.setattr(view, "_paint_bar", lambda *parts: lengths.append(parts[-1]))
    view.advance(0.05)
    QApplication.processEvents()
    assert max(lengths) > 0.0
    assert not written
    view.show_prediction(make_prediction(11))
    QApplication.processEvents()
    assert "Neutral" in written


@pytest.mark.parametrize("scale", [0.84, 1.0, 2.2])
def test_the_longest_detail_fits(scale: float) -> None:
    theme = Theme(scale)
    held = make_prediction(10, label="surprised")
    disgusted = np.eye(len(EMOTIONS), dtype=np.float32)[EMOTIONS.index("disgusted")]
    turning = replace(held, smoothed=disgusted)
    unsure = replace(turning, label=None, reason=LOW_CONFIDENCE)
    details = [shown_answer(each, window_seconds=3.0).detail for each in (held, turning, unsure)]
    for playing, speed in product((True, False), (0.0, 1.0)):
        playback = Playback(
            position=7117.0, duration=9000.0, analysed=3617.0, speed=1.0, playing=playing
        )
        health = replace(make_snapshot().health, analysis_speed=speed)
        waiting = make_snapshot(playback=playback, health=health)
        details.append(absence(waiting)[1])
    room = theme.px(396) - 2 * theme.px(PADDING)
    assert max(text_width(detail, theme.font(BODY)) for detail in details) <= room


def test_in_a_narrow_window_the_detail_goes_on_in_a_second_line(qtbot: QtBot) -> None:
    view = AnswerView(EMOTIONS, 3.0, Theme())
    qtbot.addWidget(view)
    view.resize(252, 260)
    rows = []
    for reason in (NO_FACE, LOW_CONFIDENCE):
        view.show_prediction(make_prediction(10, label=None, reason=reason))
        second = QRect(0, view.theme.px(PADDING + 64), view.width(), view.theme.px(18))
        rows.append(has_colour(painted(view).copy(second), palette.TEXT_SOFT, tolerance=40))
    assert rows == [False, True]


@pytest.mark.parametrize("width", [252, 300, 396])
def test_legends_do_not_touch_titles(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    written: dict[str, QRectF] = {}
    fonts: dict[str, QFont] = {}

    def write(_painter: object, area: QRectF, text: str, font: QFont, *_: object) -> None:
        written[text], fonts[text] = area, font

    monkeypatch.setattr("ui.attention_view.write", write)
    monkeypatch.setattr("ui.panel.write", write)
    view = AttentionView(MODALITIES, Theme(0.84))
    qtbot.addWidget(view)
    view.resize(width, 200)
    painted(view)
    least = "⅛ ×"
    title = written["MSAF attention"].left() + text_width("MSAF attention", fonts["MSAF attention"])
    assert written[least].right() - text_width(least, fonts[least]) > title


def test_what_is_as_good_as_nothing_has_no_bar(qtbot: QtBot) -> None:
    view = AnswerView(EMOTIONS, 3.0, Theme())
    qtbot.addWidget(view)
    view.resize(390, 260)
    smoothed = np.array([0.996] + [0.004] * (len(EMOTIONS) - 1), np.float32)
    view.show_prediction(make_prediction(10, label=EMOTIONS[0], smoothed=smoothed))
    for _ in range(100):
        view.advance(0.05)
    image = painted(view)
    assert has_colour(image, palette.EMOTION_COLOURS[EMOTIONS[0]])
    beside_the_names = QRect(100, round(image.height() * 0.6), image.width(), image.height())
    others = image.copy(beside_the_names)
    assert not has_colour(others, palette.EMOTION_COLOURS[EMOTIONS[-1]], tolerance=60)


def test_the_answer_is_told_to_screen_readers(qtbot: QtBot) -> None:
    view = AnswerView(EMOTIONS, 3.0, Theme())
    qtbot.addWidget(view)
    view.show_prediction(make_prediction(10))
    assert view.accessibleDescription().startswith("Neutral")
    view.show_prediction(absent_prediction())
    assert view.accessibleDescription() == f"{NOT_SURE}. No face in the picture"


def test_shares_are_told_to_screen_readers(qtbot: QtBot) -> None:
    view = ShareView(MODALITIES, Theme())
    qtbot.addWidget(view)
    view.show_prediction(make_prediction(70))
    assert view.accessibleDescription() == "Face 100\u202f%; Voice no speech"


def test_a_narrow_card_has_room_for_a_share_and_for_what_it_says_alone(qtbot: QtBot) -> None:
    theme = Theme(0.84)
    view = ShareView(MODALITIES, theme)
    qtbot.addWidget(view)
    view.resize(252, 70)
    view.show_prediction(make_prediction(70))  # all of it is the face's
    for _ in range(100):
        view.advance(0.05)
    image = painted(view)
    amber = [
        x
        for x in range(image.width())
        if has_colour(image.copy(x, 0, 1, image.height()), palette.ATTENTION)
    ]
    assert len(amber) >= 60
    for label in EMOTIONS:
        assert text_width(f"alone: {label}", theme.font(CAPTION)) <= theme.px(OPINION)


@pytest.mark.parametrize("view", ["shares", "attention", "spectrogram"])
def test_what_is_of_before_a_pause_is_dimmed(qtbot: QtBot, view: str) -> None:
    widget = VIEWS[view](Theme())
    assert isinstance(widget, Panel)
    qtbot.addWidget(widget)
    widget.resize(390, 140)
    widget.show_prediction(PREDICTIONS["both"])  # type: ignore[attr-defined]
    if isinstance(widget, ShareView):
        for _ in range(100):
            widget.advance(0.05)
    drawn = widget.content().adjusted(60, 10, -190, -20).toRect()

    def brightness() -> float:
        whole, smooth = (
            Qt.AspectRatioMode.IgnoreAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        mean = painted(widget).copy(drawn).scaled(1, 1, whole, smooth)
        return mean.pixelColor(0, 0).lightnessF()

    bright = brightness()
    widget.set_paused(True)
    dimmed = brightness()
    assert dimmed < 0.9 * bright
    widget.show_prediction(PREDICTIONS["silence"])  # type: ignore[attr-defined]
    widget.show_prediction(PREDICTIONS["both"])  # type: ignore[attr-defined]
    assert brightness() == pytest.approx(dimmed, abs=0.02)
    widget.set_paused(False)
    assert brightness() == pytest.approx(bright, abs=0.02)


# -- picture -----------------------------------------------------------------------------------


@pytest.fixture
def video(qtbot: QtBot) -> VideoView:
    view = VideoView(Theme())
    qtbot.addWidget(view)
    view.resize(640, 400)
    packet = PICTURES.packet(1.0)
    view.show_frame(packet, face_at(PICTURES, 1.0))
    return view


def test_a_very_large_picture_is_smooth(video: VideoView) -> None:
    image = np.zeros((6, 8, 3), np.uint8)
    image[:, 4:] = 255
    packet = PICTURES.packet(1.0)
    video.resize(1600, 1200)
    video.show_frame(replace(packet, image=image), None)
    row = painted(video).copy(700, 600, 200, 1)  # across the edge, which is a pixel of 200
    assert len({row.pixelColor(x, 0).name() for x in range(200)}) > 20


def test_the_picture_keeps_its_shape(video: VideoView) -> None:
    area = video.picture_area()
    assert area.width() / area.height() == pytest.approx(16 / 9, rel=0.01)
    assert video.rect().toRectF().contains(area)


def test_a_picture_of_nearly_the_views_shape_fills_it(video: VideoView) -> None:
    video.resize(640, 350)
    assert video.picture_area().contains(video.rect().toRectF())


def test_the_face_box_lies_where_the_face_is_mirrored_or_not(video: VideoView) -> None:
    box = PICTURES.box(PICTURES.packet(1.0).timestamp)
    area = video.picture_area()
    plain = video.face_area()
    assert plain is not None
    assert plain.left() == pytest.approx(area.left() + box.left * area.width(), abs=1)
    video.set_mirrored(True)
    mirrored = video.face_area()
    assert mirrored is not None
    assert mirrored.right() == pytest.approx(area.right() - box.left * area.width(), abs=1)
    assert mirrored.size() == plain.size()


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_heatmap_lies_over_the_face(video: VideoView, mirrored: bool) -> None:
    video.set_mirrored(mirrored)
    before = painted(video)
    video.show_prediction(PREDICTIONS["both"])
    unlit = painted(video)
    video.set_heatmap(True)
    lit = painted(video)
    box = video.face_area()
    assert box is not None

    def changed(place: QPoint) -> bool:
        return bool(lit.pixelColor(place) != unlit.pixelColor(place))

    lower = QPoint(round(box.center().x()), round(box.top() + 0.6 * box.height()))
    assert changed(lower)
    assert not changed(QPoint(round(box.left() - 40), lower.y()))
    assert before != unlit  # the tag at the box follows the answer


def test_no_heatmap_lies_where_the_face_was(video: VideoView) -> None:
    # The answer still rests on the face of a second ago, whose map it tells.
    video.show_prediction(PREDICTIONS["both"])
    video.show_frame(PICTURES.packet(1.5), None)
    unlit = painted(video)
    video.set_heatmap(True)
    above_the_caption = QRect(0, 0, video.width(), round(video.caption_area().top()))
    assert painted(video).copy(above_the_caption) == unlit.copy(above_the_caption)


def test_no_heatmap_is_drawn_while_it_is_switched_off(
    video: VideoView, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[QImage] = []
    heat = rendering.heat

    def counted(activation: FloatArray) -> QImage:
        drawn.append(heat(activation))
        return drawn[-1]

    monkeypatch.setattr(rendering, "heat", counted)
    video.show_prediction(PREDICTIONS["both"])
    painted(video)
    assert not drawn
    video.set_heatmap(True)
    painted(video)
    painted(video)
    assert len(drawn) == 1


def test_the_picture_tells_whose_face_is_judged_and_what_its_colours_mean(
    video: VideoView,
) -> None:
    box = video.face_area()
    assert box is not None
    assert "the largest one that stays" in video.tip_at(box.center().toPoint())
    video.set_heatmap(True)
    caption = video.caption_area().center().toPoint()
    assert "(class activation map)" in video.tip_at(caption)
    video.show_frame(PICTURES.packet(1.5), None)
    assert video.tip_at(QPoint(5, 5)) == ""


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("answer", ["both", "none"])
@pytest.mark.parametrize("scale", [0.84, 1.0, 2.2])
def test_what_lies_over_the_picture_neither_overlaps_nor_is_cut_off(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, scale: float, answer: str, upright: bool
) -> None:
    pills: list[QRectF] = []
    texts: dict[str, tuple[QRectF, bool]] = {}
    monkeypatch.setattr("ui.video_view._pill", lambda _, area: pills.append(area))
    monkeypatch.setattr(
        "ui.video_view.write",
        lambda painter, area, text, font, *_: texts.update(
            {text: (area, painter.hasClipping() or text_width(text, font) > area.width())}
        ),
    )
    view = VideoView(Theme(scale))
    qtbot.addWidget(view)
    view.resize(round(700 * scale), round(412 * scale))  # of the smallest window, and larger ones
    pictures = DrawnPictures(width=180, height=320) if upright else PICTURES
    view.show_frame(pictures.packet(1.0), face_at(pictures, 1.0) if answer == "both" else None)
    view.show_prediction(PREDICTIONS[answer])
    view.set_heatmap(True)
    view.set_badge(WAITS_FOR_ANALYSIS)
    painted(view)
    caption, badge = pills
    assert not caption.intersects(badge)
    room = view.rect().toRectF() if upright else view.picture_area()
    assert all(room.contains(pill) for pill in pills)
    texts.pop(tag(PREDICTIONS[answer])[0], None)  # which lies at the face
    told = {HEATMAP_CAPTION, *HEATMAP_ENDS}
    if answer == "none":
        told = {f"{HEATMAP_CAPTION}: {NO_FACE_HERE}"}
    assert {*told, WAITS_FOR_ANALYSIS} == {*texts}
    for area, is_cut_off in texts.values():
        assert any(pill.contains(area) for pill in pills)
        assert not is_cut_off


def test_the_invitation_to_drop_is_whole_over_a_narrow_picture(video: VideoView) -> None:
    upright = DrawnPictures(width=180, height=320)
    video.show_frame(upright.packet(1.0), None)
    video.set_dropping(True)
    image = painted(video)
    for edge in (QRect(0, 0, 40, 400), QRect(600, 0, 40, 400)):  # beside the picture
        assert has_colour(image.copy(edge), palette.ACCENT)


def test_without_a_picture_it_says_why(video: VideoView) -> None:
    video.show_frame(None, None)
    video.set_empty("No camera", "Choose one above")
    video.set_dropping(True)
    assert has_colour(painted(video), palette.ACCENT)
    video.set_dropping(False)
    assert has_colour(painted(video), palette.SURFACE)
    assert video.face_area() is None


def test_a_long_advice_goes_on_in_the_next_line(video: VideoView) -> None:
    video.show_frame(None, None)
    advice = "The analysis failed and this says why, at some length. "
    video.set_empty("Nothing to show", advice)
    once = painted(video)
    video.set_empty("Nothing to show", advice * 3)
    below = QRect(0, 200 + video.theme.px(44), 640, 60)  # the title's line and the first
    assert not has_colour(once.copy(below), palette.TEXT_SOFT, tolerance=40)
    assert has_colour(painted(video).copy(below), palette.TEXT_SOFT, tolerance=40)


# -- sound -------------------------------------------------------------------------------------


def test_sound_lies_where_it_was_heard(qtbot: QtBot) -> None:
    view = SpectrogramView(3.0, Theme())
    qtbot.addWidget(view)
    view.resize(390, 220)
    heard = np.full((80, 100), 1.4, np.float32)  # a loud second, which ended a second ago
    moments = np.full(50, 1 / 50, np.float32)
    view.show_prediction(
        make_prediction(50, spectrogram=heard, spectrogram_end=4.0, voice_moments=moments)
    )
    plot = view.plot_area()
    image = painted(view).copy(plot)
    thirds = [round((k + 0.5) * plot.width() / 3) for k in range(3)]
    before, during, after = (image.pixelColor(x, plot.height() // 2).name() for x in thirds)
    assert before == after == palette.SURFACE
    assert during != palette.SURFACE


def test_how_well_the_voice_is_known_does_not_touch_the_axis(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: dict[str, QRectF] = {}
    monkeypatch.setattr(
        "ui.spectrogram_view.write", lambda _, area, text, *rest: written.update({text: area})
    )
    view = SpectrogramView(3.0, Theme(0.84))
    qtbot.addWidget(view)
    view.show_prediction(make_prediction(10, speaker_seconds=120.0))
    for width, begins in ((150, False), (390, True)):
        written.clear()
        view.resize(width, 120)
        painted(view)
        assert ("−3 s" in written) is begins
        known = written["voice known from 120 s"]
        assert known.right() < written["now"].right() - view.theme.px(30)


# -- transport ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.84, 2.2])
def test_the_time_of_a_long_recording_fits_and_ends_at_its_length(
    qtbot: QtBot, scale: float
) -> None:
    owner = QWidget()
    qtbot.addWidget(owner)
    view = TransportView(make_actions(owner), Theme(scale), owner)
    view.show_position(5400.4, 5400.4)
    (label,) = view.findChildren(QLabel)
    assert label.text() == "1:30:00.4  /  1:30:00.4"
    assert label.width() >= label.sizeHint().width()
    width = label.width()
    view.show_position(2.0, 5400.4)
    assert label.width() == width


def test_a_long_file_name_loses_its_middle(qtbot: QtBot) -> None:
    label = ElidedLabel()
    qtbot.addWidget(label)
    name = f"interview-{'with-a-long-name-' * 9}day-2.mp4"
    label.set_whole(name)
    label.resize(200, 20)
    label.grab()
    assert label.text().startswith("interview")
    assert label.text().endswith("2.mp4")
    assert label.sizeHint().width() <= 200
    label.resize(4000, 20)
    label.grab()
    assert label.text() == label.toolTip() == name


@pytest.mark.parametrize("name", ["a<b>x.mp4", "<i>talk.mp4", "&lt;talk.mp4"])
def test_a_file_name_is_no_html(
    qtbot: QtBot, now: ManualTime, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def read(tip: str) -> str:
        document = QTextDocument()
        if not Qt.mightBeRichText(tip):  # type: ignore[attr-defined]  # its type hints lack it
            return tip
        document.setHtml(tip)
        return document.toPlainText()

    label, choice, status = ElidedLabel(), Choice("Camera"), StatusView(Theme())
    for widget in (label, choice, status):
        qtbot.addWidget(widget)
    label.set_whole(name)
    assert read(label.toolTip()) == name
    choice.fill([(name, 0)], 0)
    assert read(choice.toolTip()) == f"Camera: {name}"
    health = FakeLiveSession(now).snapshot().health
    camera = SourceHealth(name=name, state=SourceState.RUNNING)
    status.resize(1200, 40)
    status.show_health(replace(health, camera=camera), 30.0, live=True)
    shown: list[str] = []
    monkeypatch.setattr(QToolTip, "showText", lambda _, text, *__: shown.append(text))
    place = status.cell_areas()[-3].center().toPoint()
    QApplication.sendEvent(status, QHelpEvent(QEvent.Type.ToolTip, place, place))
    assert [read(each) for each in shown] == [f"{name}: {SourceState.RUNNING.value}"]


@pytest.mark.parametrize("name", ["talk.mp4", "תרגול.mp4", "مقابلة"])
def test_a_file_name_stays_at_the_left_however_it_is_read(qtbot: QtBot, name: str) -> None:
    label = ElidedLabel()
    qtbot.addWidget(label)
    label.resize(400, 20)
    label.set_whole(name)
    label.setStyleSheet(f"color: {palette.ERROR}; background: black")
    image = painted(label)
    half = image.width() // 2
    assert has_colour(image.copy(0, 0, half, image.height()), palette.ERROR, tolerance=90)
    assert not has_colour(image.copy(half, 0, half, image.height()), palette.ERROR, tolerance=90)


def test_what_cannot_be_pressed_now_can_be_seen() -> None:
    faint = icons.icon("export").pixmap(32, QIcon.Mode.Disabled).toImage()
    colours = {faint.pixelColor(x, y).name() for x in range(32) for y in range(32)}
    assert max(palette.contrast(colour, palette.RAISED) for colour in colours) > 3.0


# -- timeline ----------------------------------------------------------------------------------


@pytest.fixture
def timeline(qtbot: QtBot) -> TimelineView:
    view = TimelineView(EMOTIONS, 60.0, Theme())
    qtbot.addWidget(view)
    view.resize(520, 132)
    return view


def test_the_last_minute_ends_now(timeline: TimelineView) -> None:
    timeline.extend([make_prediction(index) for index in range(1, 100)])
    assert list(timeline.span()) == pytest.approx([-50.1, 9.9])
    assert has_colour(painted(timeline), palette.EMOTION_COLOURS["happy"])


def labelled(label: str | None, first: int, last: int) -> list[Prediction]:
    """Answers from number `first` to `last`, all of this label."""
    reason = None if label else SILENCE
    return [make_prediction(index, label=label, reason=reason) for index in range(first, last + 1)]


def test_short_stretches_are_named_as_well(
    timeline: TimelineView, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = 0
    for label, tenths in (("happy", 80), ("surprised", 40), ("sad", 20), ("angry", 15)):
        timeline.extend(labelled(label, at + 1, at + tenths))
        at += tenths
    written: list[str] = []
    monkeypatch.setattr("ui.timeline_view.write", lambda _, __, text, *rest: written.append(text))
    timeline.extend([])
    assert [text for text in written if text in ("Happy", "Sur", "Sad", "Sa", "A")] == [
        "Happy", "Sur", "Sa", "A",
    ]  # fmt: skip


def test_a_moving_cursor_has_nothing_else_drawn_anew(
    timeline: TimelineView, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeline.clear(live=False)
    timeline.extend(labelled("happy", 1, 99))
    timeline.set_extent(40.0, 10.0, 5.0)
    timeline.show()  # a hidden view is drawn anew whenever it is grabbed
    before = painted(timeline)
    monkeypatch.setattr("ui.timeline_view.rendering", None)
    timeline.set_extent(40.0, 10.0, 7.0)
    assert painted(timeline) != before


def test_what_moves_to_the_left_keeps_its_width(timeline: TimelineView) -> None:
    timeline.extend(labelled("happy", 1, 33))
    chart = timeline.chart()
    band = QRect(round(chart.left()), round(chart.bottom()) - 2, round(chart.width()), 1)
    shares = set()
    for index in range(34, 80):
        timeline.extend(labelled(None, index, index))
        row = painted(timeline).copy(band)
        shares.add(share_of_colour(row, palette.EMOTION_COLOURS["happy"]))
    assert len(shares) == 1


def test_a_click_in_a_recording_seeks(qtbot: QtBot, timeline: TimelineView) -> None:
    timeline.clear(live=False)
    timeline.set_extent(40.0, 20.0, 5.0)
    chart = timeline.chart()
    with qtbot.waitSignal(timeline.sought) as sought:
        click(timeline, chart.center().toPoint())
    assert sought.args == [pytest.approx(20.0, abs=0.2)]
    assert has_colour(painted(timeline), palette.TEXT)  # the cursor


def test_the_timeline_is_told_to_screen_readers(timeline: TimelineView) -> None:
    sad = [make_prediction(index, label="sad", reason=None) for index in range(1, 100)]
    timeline.extend(sad)
    assert timeline.accessibleDescription() == "sad 10–0 s ago"
    timeline.set_paused(True)
    assert timeline.accessibleDescription() == "sad 10–0 s before the pause"
    timeline.set_paused(False)
    timeline.clear(live=False)
    assert timeline.accessibleDescription() == "at 0:00"
    timeline.extend(sad)
    timeline.set_extent(40.0, 10.0, 5.0)
    assert timeline.accessibleDescription() == "sad 0:00–0:09; at 0:05"


def test_the_timelines_tip_follows_what_scrolls_below_it(
    timeline: TimelineView, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = ["of another widget"]
    monkeypatch.setattr(QToolTip, "showText", lambda _, text, *__: shown.append(text))
    monkeypatch.setattr(QToolTip, "text", lambda: shown[-1])
    monkeypatch.setattr(QToolTip, "isVisible", lambda: True)
    timeline.extend([make_prediction(index, label="sad", reason=None) for index in range(1, 100)])
    right = timeline.chart().bottomRight().toPoint() - QPoint(40, 5)
    help_ = QHelpEvent(QEvent.Type.ToolTip, right, timeline.mapToGlobal(right))
    QApplication.sendEvent(timeline, help_)
    assert shown[-1] == "Sad, 5 s ago"
    happy = [make_prediction(index, label="happy", reason=None) for index in range(100, 200)]
    timeline.extend(happy)
    assert shown[-1] == "Happy, 5 s ago"
    shown.append("of another widget")
    timeline.extend([make_prediction(index, label="sad", reason=None) for index in range(200, 300)])
    assert shown[-1] == "of another widget"


def test_the_timelines_tip_says_why_there_is_no_answer(timeline: TimelineView) -> None:
    left, right = timeline.chart().topLeft().toPoint(), timeline.chart().topRight().toPoint()
    middle = QPoint((left.x() + right.x()) // 2, left.y())
    assert timeline.tip_at(right) == "Before the start"
    timeline.extend([make_prediction(index) for index in (*range(1, 50), *range(500, 550))])
    assert timeline.tip_at(left) == "Before the start"
    assert timeline.tip_at(middle).startswith("No answer, ")  # as in a pause
    timeline.clear(live=False)
    timeline.set_extent(40.0, 10.0, 5.0)
    assert timeline.tip_at(right) == "Not analysed yet, 0:40.0"


def test_the_wheel_shows_a_part_of_a_recording(timeline: TimelineView) -> None:
    timeline.clear(live=False)
    timeline.set_extent(600.0, 600.0, 300.0)
    whole = painted(timeline)
    x = timeline.chart().left() + 0.75 * timeline.chart().width()
    below = timeline.seconds_at(x)
    assert turn_wheel(timeline, 5, x)
    start, end = timeline.span()
    assert end - start == pytest.approx(600.0 * 0.8**5)
    assert timeline.seconds_at(x) == pytest.approx(below)  # what is below the pointer stays there
    assert painted(timeline) != whole
    turn_wheel(timeline, 1, x, across=True)
    assert timeline.span()[0] < start
    turn_wheel(timeline, 90, x)
    assert timeline.span()[1] - timeline.span()[0] == pytest.approx(5.0)
    turn_wheel(timeline, 90, timeline.chart().right())
    turn_wheel(timeline, -90, x)
    assert timeline.span() == (0.0, 600.0)
    assert painted(timeline) == whole


def test_a_double_click_shows_the_whole_recording(timeline: TimelineView) -> None:
    timeline.clear(live=False)
    timeline.set_extent(600.0, 600.0, 300.0)
    turn_wheel(timeline, 5, 100)
    double_click(timeline, QPoint(100, 50))
    assert timeline.span() == (0.0, 600.0)
    turn_wheel(timeline, 5, 100)
    timeline.clear(live=False)  # another recording
    timeline.set_extent(30.0, 30.0, 0.0)
    assert timeline.span() == (0.0, 30.0)


def test_playback_stays_in_the_part_that_is_shown(timeline: TimelineView) -> None:
    timeline.clear(live=False)
    timeline.set_extent(600.0, 600.0, 300.0)
    timeline.zoom(0.1)
    assert timeline.span() == pytest.approx((270.0, 330.0))
    for position in (330.5, 599.0, 10.0):
        timeline.set_extent(600.0, 600.0, position)
        start, end = timeline.span()
        assert start <= position <= end
        assert end - start == pytest.approx(60.0)
    turn_wheel(timeline, -1, 100)
    away = timeline.span()
    timeline.set_extent(600.0, 600.0, 10.0)  # paused: one may look elsewhere
    assert timeline.span() == away


def test_the_last_minute_cannot_be_zoomed(timeline: TimelineView) -> None:
    before = timeline.span()
    assert not turn_wheel(timeline, 3, 100)
    timeline.zoom(0.5)
    assert timeline.span() == before


def test_a_click_in_live_mode_does_nothing(qtbot: QtBot, timeline: TimelineView) -> None:
    with qtbot.assertNotEmitted(timeline.sought):
        click(timeline, QPoint(200, 60))


def test_the_timeline_is_no_second_slider_for_the_keyboard(timeline: TimelineView) -> None:
    for is_live in (True, False):
        timeline.clear(live=is_live)
        assert timeline.focusPolicy() is Qt.FocusPolicy.NoFocus


# -- status and loading ------------------------------------------------------------------------


def test_the_status_line_is_painted_and_told(qtbot: QtBot, now: ManualTime) -> None:
    view = StatusView(Theme())
    qtbot.addWidget(view)
    view.resize(1200, 40)
    painted(view)
    view.show_health(FakeLiveSession(now).health(), 30.0, live=True)
    view.show_level(-2.0, speech=True)
    image = painted(view)
    assert has_colour(image, palette.GOOD)  # of the sources
    assert has_colour(image, palette.ERROR)  # of the meter, far too loud
    assert "Delay p50 · p95: 43 · 81 ms" in view.accessibleDescription()


def test_no_level_is_shown_of_before_a_pause_or_of_what_is_off(
    qtbot: QtBot, now: ManualTime
) -> None:
    view = StatusView(Theme())
    qtbot.addWidget(view)
    health = FakeLiveSession(now).health()
    view.show_health(health, 30.0, live=True)
    view.show_level(-21.0, speech=True)
    assert view.level == -21.0
    view.set_paused(True)
    assert view.level is None
    view.set_paused(False)
    view.show_health(replace(health, microphone=SourceHealth(name="none")), 30.0, live=True)
    assert view.level is None
    read = SourceHealth(name="talk.mp4", state=SourceState.ENDED)  # but it is looked at
    view.show_health(replace(health, microphone=read), 30.0, live=False)
    assert view.level == -21.0


@pytest.mark.parametrize("live", [True, False])
def test_status_cells_stand_side_by_side(qtbot: QtBot, now: ManualTime, live: bool) -> None:
    view = StatusView(Theme())
    qtbot.addWidget(view)
    view.resize(990, 40)
    health = FakeLiveSession(now).health()
    view.show_health(health, 30.0, live=live)
    assert len(view.cell_areas()) == len(status_cells(health, 30.0, live=live))
    areas = sorted([*view.cell_areas(), view.meter_area()], key=lambda area: area.left())
    for left, right in pairwise(areas):
        assert left.right() <= right.left() + 1e-6
    assert areas[-1].right() <= view.width() + 1e-6


def test_a_narrow_status_line_leaves_out_one_cell_and_shortens_none(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, now: ManualTime
) -> None:
    cut: list[str] = []

    def write(_: object, area: QRectF, text: str, font: QFont, *__: object) -> None:
        if text_width(text, font) > area.width():
            cut.append(text)

    monkeypatch.setattr("ui.status_view.write", write)
    view = StatusView(Theme(0.84))
    qtbot.addWidget(view)
    health = replace(FakeLiveSession(now).health(), engine="onnxruntime 1.28.0, CPU")
    view.show_health(health, 30.0, live=True)
    view.show_level(-120.0, speech=False)
    for width, count in ((614, 7), (774, 8)):  # of windows that are 640 and 800 wide
        view.resize(width, 34)
        painted(view)
        assert len(view.shown()) == len(view.cell_areas()) == count
        assert not cut
        assert view.meter_area().width() > 85
    assert "Sound − picture" in view.accessibleDescription()  # in both


@pytest.mark.parametrize("progress", [None, 0.0, 0.5, 1.0])
def test_loading_shows_progress(qtbot: QtBot, progress: float | None) -> None:
    view = LoadingView(Theme())
    qtbot.addWidget(view)
    view.resize(view.sizeHint())
    view.show_progress("Reading the weights", progress)
    view.show()
    view.advance(0.5)
    assert has_colour(painted(view), palette.ACCENT)
    assert view.accessibleDescription() == "Reading the weights"
