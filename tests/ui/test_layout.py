"""Where the views lie in windows of all shapes, and how large they are."""

import pytest
from PyQt6.QtCore import QPoint, QRect, QSize, Qt
from PyQt6.QtWidgets import QAbstractButton, QComboBox, QSlider, QWidget
from pytestqt.qtbot import QtBot

from tests.fakes.session import DrawnPictures, FakeLiveSession, FakeReplaySession, ManualTime
from tests.ui.conftest import OpenWindow, press_focused, resize, run
from ui.main_window import SMALLEST, MainWindow
from ui.panel import shrinkage


@pytest.mark.parametrize(
    "size", [QSize(1920, 1080), QSize(960, 600), QSize(1280, 720), QSize(1080, 1920)]
)
def test_a_notice_stays_on_the_picture_when_the_window_changes(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime, qtbot: QtBot, size: QSize
) -> None:
    window = open_window(live)
    run(window, now, 2.0)
    assert window.views.banner.isVisible()
    window.resize(size)
    central = window.centralWidget()
    assert central is not None

    def lies_on_the_picture() -> bool:
        place = window.views.video.mapTo(central, QPoint(0, 0))
        return QRect(place, window.views.video.size()).contains(window.views.banner.geometry())

    qtbot.waitUntil(lambda: window.width() == size.width() and lies_on_the_picture())
    on_top = central.childAt(window.views.banner.geometry().center())
    assert on_top is not None
    assert window.views.banner in (on_top, on_top.parentWidget())
    assert window.views.banner.width() > 300


class HighPictures(DrawnPictures):
    """A face at the top of the picture."""

    def centre(self, seconds: float) -> tuple[float, float]:
        return 0.5, 0.3


def test_the_tag_at_the_face_lies_below_a_notice(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    live.pictures = HighPictures()
    window = open_window(live)
    run(window, now, 2.0)

    def clear_of_the_notice() -> bool:
        tag = window.views.video.tag_area()
        assert tag is not None
        assert window.views.video.picture_area().contains(tag)
        on_screen = QRect(
            window.views.video.mapToGlobal(tag.toRect().topLeft()), tag.toRect().size()
        )
        banner = window.views.banner
        return not on_screen.intersects(QRect(banner.mapToGlobal(QPoint(0, 0)), banner.size()))

    assert window.views.banner.isVisible()
    assert clear_of_the_notice()
    press_focused(Qt.Key.Key_Escape)
    assert not window.views.banner.isVisible()
    assert not clear_of_the_notice()  # it is back where the notice was


def placed(window: MainWindow) -> dict[str, QRect]:
    """Where the visible parts of the window lie."""
    parts: dict[str, QWidget] = {
        "header": window.views.header,
        "video": window.views.video,
        "transport": window.views.transport,
        "spectrogram": window.views.spectrogram,
        "timeline": window.views.timeline,
        "answer": window.views.answer,
        "shares": window.views.shares,
        "attention": window.views.attention,
        "status": window.views.status,
    }
    return {
        name: QRect(part.mapTo(window, QPoint(0, 0)), part.size())
        for name, part in parts.items()
        if part.isVisible()
    }


SIZES = [
    SMALLEST, QSize(683, 360), QSize(800, 450), QSize(910, 480), QSize(960, 510), QSize(960, 600),
    QSize(1024, 700), QSize(1280, 720), QSize(1920, 1080), QSize(3840, 2160),
    QSize(640, 660), QSize(640, 900), QSize(700, 1024), QSize(960, 1000), QSize(1080, 1500),
    QSize(1080, 1920), QSize(1440, 2560),
]  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size.width()}x{size.height()}")
@pytest.mark.parametrize("mode", ["live", "replay"])
def test_nothing_overlaps_and_nothing_is_cut_off(
    open_window: OpenWindow,
    live: FakeLiveSession,
    replay: FakeReplaySession,
    now: ManualTime,
    mode: str,
    size: QSize,
) -> None:
    window = open_window(live if mode == "live" else replay)
    resize(window, size)
    run(window, now, 2.0)
    window.grab()  # settles the layout
    assert window.size() == size
    areas = placed(window)
    for name, area in areas.items():
        assert window.rect().contains(area), name
        for other, its_area in areas.items():
            assert name == other or not area.intersects(its_area), (name, other)
    tall = size.height() > size.width()
    assert areas["video"].height() > (0.3 if tall else 0.4) * size.height()
    for part in (window.views.header, window.views.transport):
        inside = [
            child
            for child in part.findChildren(QWidget)
            if isinstance(child, QAbstractButton | QComboBox | QSlider) and child.isVisible()
        ]
        for child in inside:
            area = QRect(child.mapTo(part, QPoint(0, 0)), child.size())
            assert part.rect().contains(area), child.accessibleName()
            assert child.width() >= child.minimumSizeHint().width(), child.accessibleName()
    central = window.centralWidget()
    assert central is not None
    for overlay in (window.views.banner, window.views.loading):
        assert central.rect().contains(overlay.geometry())


@pytest.mark.parametrize(
    ("size", "missing"),
    [
        (QSize(960, 600), set()),
        (QSize(960, 500), {"attention"}),
        (QSize(683, 360), {"attention", "spectrogram", "timeline"}),
        (QSize(1080, 1920), set()),
    ],
)
def test_a_low_window_goes_without_what_matters_least(
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    size: QSize,
    missing: set[str],
) -> None:
    window = open_window(replay)
    everything = set(placed(window))
    resize(window, size)
    run(window, now, 1.0)
    assert everything - set(placed(window)) == missing
    resize(window, QSize(1280, 720))
    assert set(placed(window)) == everything


@pytest.mark.parametrize(
    "size",
    [
        QSize(640, 660), QSize(640, 780), QSize(640, 900), QSize(640, 1070), QSize(760, 1070),
        QSize(900, 1260), QSize(960, 1000), QSize(1080, 1500), QSize(1080, 1920),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["live", "replay"])
def test_the_rows_of_a_tall_window_are_high_enough_to_read(
    open_window: OpenWindow,
    live: FakeLiveSession,
    replay: FakeReplaySession,
    mode: str,
    size: QSize,
) -> None:
    window = open_window(live if mode == "live" else replay)
    resize(window, size)
    window.grab()
    answer, theme = window.views.answer, window.theme
    room = answer.content().height() - theme.px(84)  # below label and detail
    assert shrinkage(room / len(answer._bars), theme) >= 0.88
    shares = window.views.shares
    assert shrinkage(shares.content().height() / len(shares._shares), theme) >= 0.88


@pytest.mark.parametrize("size", [QSize(960, 1000), QSize(1080, 1500), QSize(1080, 1920)])
def test_a_tall_window_has_its_cards_below_the_picture(
    open_window: OpenWindow,
    replay: FakeReplaySession,
    now: ManualTime,
    size: QSize,
) -> None:
    window = open_window(replay)
    resize(window, QSize(1280, 720))
    run(window, now, 1.0)
    window.grab()
    wide = placed(window)
    resize(window, size)
    run(window, now, 1.0)
    window.grab()
    areas, px = placed(window), window.theme.px
    for card in ("answer", "shares", "attention"):
        assert areas[card].top() > areas["timeline"].bottom(), card
    rows = len(window.views.answer._bars)
    assert (areas["answer"].height() - px(112)) / rows <= px(48)  # they belong together
    video = areas["video"]
    assert video.width() > 0.9 * size.width()
    assert 1.2 < video.width() / video.height() < 2.3  # hardly any room above most pictures
    resize(window, QSize(1280, 720))
    assert placed(window) == wide


def test_type_is_as_large_in_a_tall_window_as_in_a_wide_one(
    open_window: OpenWindow, live: FakeLiveSession
) -> None:
    window = open_window(live)
    window.resize(1080, 1920)
    assert window.theme.scale > 1.0


def test_the_layout_does_not_move_with_what_is_shown(
    open_window: OpenWindow, live: FakeLiveSession, now: ManualTime
) -> None:
    window = open_window(live)
    run(window, now, 1.5)
    window.grab()
    before = placed(window)
    live.health_changes.update(engine="torch, NVIDIA with a very long name indeed " * 3)
    run(window, now, 3.0)
    window.grab()
    assert placed(window) == before


def test_type_grows_with_the_window(open_window: OpenWindow, live: FakeLiveSession) -> None:
    window = open_window(live)
    window.resize(1280, 720)
    small = window.theme.px(13)
    window.resize(3840, 2160)
    assert window.theme.px(13) > 1.8 * small
