"""The picture, the face that is followed, and what lies over them.

Thread: GUI. The picture is scaled once per frame; everything else is drawn over it.
"""

from __future__ import annotations

from typing import Final

from PyQt6.QtCore import QPoint, QPointF, QRect, QRectF, QSize, QSizeF, Qt
from PyQt6.QtGui import (
    QColor,
    QFont,
    QImage,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QTransform,
)
from PyQt6.QtWidgets import QWidget

from models.alignment import CROP_SIZE
from models.arrays import FloatArray
from realtime.messages import FaceObservation, Prediction, VideoPacket
from ui import icons, palette, rendering
from ui.panel import CENTRE, LEFT, RIGHT, Panel, fill, legend, text_width, write
from ui.present.answer import answer, spoken, tag
from ui.theme import BODY, CAPTION, MEDIUM, RADIUS, SEMIBOLD, TITLE, Theme
from ui.wrapping import breakable

_MOST_CROPPED: Final = 1.06  # a picture whose shape differs by less fills the view
_WRAPPED: Final = int(Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap)
_NOT_SURE_LINE: Final = Qt.PenStyle.DotLine
_SHADE: Final = QColor(13, 16, 20, 205)  # under text that lies on the picture
_PILL: Final = QColor(30, 36, 45, 225)  # … or beside a narrow one
HEATMAP_CAPTION: Final = "What speaks for it"
NO_FACE_HERE: Final = "no face found here"
NO_MAP: Final = "no answer counts this face yet"
_HEATMAP_TIP: Final = (
    "The brighter a part of the face is coloured, the more it speaks for what is shown\n"
    "(class activation map)."
)
_WHOSE: Final = (
    "The answer is about the face in the frame: the largest one that stays in the picture."
)
HEATMAP_ENDS: Final = ("little", "much")
_BAR: Final = 56.0  # design pixels, between them


class VideoView(Panel):
    """The picture as large as fits, with the face box and the heatmap when it is switched on."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("", theme, parent)
        self.setAccessibleName("Picture")
        self.setToolTip(
            f"{_WHOSE} With the heatmap (H): {_HEATMAP_TIP[0].lower()}{_HEATMAP_TIP[1:]}"
        )
        self.mirrored = False
        self.heatmap = False
        self._packet: VideoPacket | None = None
        self._image: QImage | None = None
        self._face: FaceObservation | None = None
        self._activation: FloatArray | None = None
        self._heat: QImage | None = None  # of it, once it was painted
        self._tag = tag(None)
        self._empty = ("", "")
        self._badge = ""
        self._covered = QRectF()
        self._dropping = False

    # -- what is shown -------------------------------------------------------------------------

    def show_frame(self, packet: VideoPacket | None, face: FaceObservation | None) -> None:
        """Show another picture and the face in it."""
        self._face = face
        if packet is not self._packet:
            self._packet = packet
            self._scale_picture()
        self.update()

    def show_prediction(self, prediction: Prediction | None) -> None:
        """Show another answer at the face box, and its heatmap."""
        self._tag = tag(prediction)
        self.describe("" if prediction is None else spoken(answer(prediction)))
        self._activation = None if prediction is None else prediction.face_activation
        self._heat = None
        self.update()

    def set_mirrored(self, mirrored: bool) -> None:
        """Show the picture as a mirror does; box and heatmap go along."""
        self.mirrored = mirrored
        self._scale_picture()
        self.update()

    def set_heatmap(self, shown: bool) -> None:
        """Lay the heatmap over the face, or take it away."""
        self.heatmap = shown
        self.update()

    def set_empty(self, title: str, advice: str) -> None:
        """What to say where there is no picture."""
        if (title, advice) != self._empty:
            self._empty = (title, advice)
            self.update()

    def set_badge(self, text: str) -> None:
        """A word in the corner of the picture, such as "Paused"; none when empty."""
        if text != self._badge:
            self._badge = text
            self.update()

    def set_covered(self, area: QRect) -> None:
        """Where something lies over the view, in its coordinates; the tag keeps out of there."""
        if area.toRectF() != self._covered:
            self._covered = area.toRectF()
            self.update()

    def set_dropping(self, dropping: bool) -> None:
        """Invite to drop the file that is held over the window."""
        self._dropping = dropping
        self.update()

    @property
    def badge(self) -> str:
        """The word in the corner."""
        return self._badge

    # -- where things are ----------------------------------------------------------------------

    def picture_area(self) -> QRectF:
        """Where the picture lies: as large as fits, its shape kept.

        Where its shape is nearly the view's it fills that, and loses a little at two edges.
        """
        whole = QRectF(self.rect())
        if self._packet is None or whole.isEmpty():
            return whole
        height, width, _ = self._packet.image.shape
        shape = (width / height) / (whole.width() / whole.height())
        fills = max(shape, 1.0 / shape) <= _MOST_CROPPED
        size = QSizeF(width, height).scaled(
            whole.size(),
            Qt.AspectRatioMode.KeepAspectRatioByExpanding
            if fills
            else Qt.AspectRatioMode.KeepAspectRatio,
        )
        corner = QPointF(
            round((whole.width() - size.width()) / 2), round((whole.height() - size.height()) / 2)
        )
        return QRectF(corner, size.toSize().toSizeF())

    def image_to_widget(self) -> QTransform:
        """Pixels of the camera image → coordinates of this widget, mirrored when the picture is."""
        if self._packet is None:
            return QTransform()
        height, width, _ = self._packet.image.shape
        area = self.picture_area()
        x_scale, y_scale = area.width() / width, area.height() / height
        if self.mirrored:
            return QTransform(-x_scale, 0, 0, y_scale, area.right(), area.top())
        return QTransform(x_scale, 0, 0, y_scale, area.left(), area.top())

    def face_area(self) -> QRectF | None:
        """The face box in widget coordinates, None when nobody is followed."""
        if self._face is None or self._packet is None:
            return None
        height, width, _ = self._packet.image.shape
        box = self._face.box
        pixels = QRectF(box.left * width, box.top * height, box.width * width, box.height * height)
        return self.image_to_widget().mapRect(pixels)

    def tag_area(self) -> QRectF | None:
        """Where the tag of the face lies: above its box as far as there is room; None without."""
        box, text = self.face_area(), self._tag.text
        if box is None or not text:
            return None
        px = self.theme.px
        area = self.picture_area() & QRectF(self.rect())
        label = QRectF(0, 0, text_width(text, self._tag_font()) + px(20), px(26))
        left = box.center().x() - label.width() / 2
        label.moveLeft(min(max(left, area.left() + px(6)), area.right() - label.width()))
        label.moveTop(max(box.top() - label.height() - px(8), area.top() + px(6)))
        if label.intersects(self._covered):
            label.moveTop(self._covered.bottom() + px(6))
        return label

    def _foot(self) -> QRectF:
        """Where caption and badge lie: in the picture, but in the view if that is too narrow."""
        picture = self.picture_area() & QRectF(self.rect())
        wanted = self._caption_width() + self._badge_width() + 3 * self.theme.px(12)
        return picture if picture.width() >= wanted else QRectF(self.rect())

    def _heats(self) -> bool:
        """Whether there is a map, and in this picture a face for it to lie on."""
        return self._activation is not None and self._face is not None

    def _caption(self) -> str:
        if self._heats():
            return HEATMAP_CAPTION
        return f"{HEATMAP_CAPTION}: {NO_FACE_HERE if self._face is None else NO_MAP}"

    def caption_area(self) -> QRectF:
        """Where the caption of the heatmap lies, empty while that is switched off."""
        if not self.heatmap:
            return QRectF()
        px = self.theme.px
        pill = QRectF(0, 0, self._caption_width(), px(26))
        pill.moveBottomLeft(self._foot().bottomLeft() + QPointF(px(12), -px(12)))
        return pill

    def _caption_width(self) -> float:
        if not self.heatmap:
            return 0.0
        px, font = self.theme.px, self.theme.font(CAPTION, MEDIUM)
        width = text_width(self._caption(), font) + px(20) + 1
        if self._heats():
            width += sum(text_width(end, font) for end in HEATMAP_ENDS) + px(16 + _BAR + 16)
        return width

    def _badge_width(self) -> float:
        if not self._badge:
            return 0.0
        return text_width(self._badge, self.theme.font(BODY, SEMIBOLD)) + self.theme.px(24)

    def _tag_font(self) -> QFont:
        return self.theme.font(BODY, SEMIBOLD, tabular=True)

    # -- painting ------------------------------------------------------------------------------

    def _scale_picture(self) -> None:
        if self._packet is None or self.width() < 2 or self.height() < 2:
            self._image = None
            return
        size = self._pixels(self.picture_area())
        self._image = rendering.picture(self._packet.image, size, mirrored=self.mirrored)

    def _pixels(self, area: QRectF) -> QSize:
        """The size of `area` in device pixels."""
        return (area.size() * self.devicePixelRatioF()).toSize()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self._scale_picture()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        if self._image is None:
            super().paintEvent(event)
            return
        painter = QPainter(self)
        whole = self.picture_area()
        area = whole & QRectF(self.rect())
        painter.fillRect(self.rect(), QColor(palette.BACKGROUND))
        smooth = QPainter.RenderHint.SmoothPixmapTransform
        painter.setRenderHint(smooth, self._image.size() != self._pixels(whole))
        painter.drawImage(whole, self._image)
        painter.setRenderHint(smooth, False)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._round_corners(painter, area)
        painter.setClipRect(area)
        if self.heatmap:
            self._paint_heat(painter)
        self._paint_face(painter)
        painter.setClipping(False)  # a narrow picture has no room for what follows
        if self.heatmap:
            self._paint_heat_caption(painter)
        self._paint_badge(painter)
        if self._dropping:
            self._paint_invitation(painter)
        painter.end()

    def paint(self, painter: QPainter, area: QRectF) -> None:
        """What stands in place of a picture."""
        if self._dropping:
            self._paint_invitation(painter)
            return
        title, advice = self._empty
        size = self.theme.px(44)
        middle = area.center()
        if title:
            symbol = icons.pixmap(
                "no-picture", palette.TEXT_FAINT, round(size * self.devicePixelRatioF())
            )
            target = QRectF(middle.x() - size / 2, middle.y() - size * 1.5, size, size)
            painter.drawPixmap(target, symbol, QRectF(symbol.rect()))
        px, font = self.theme.px, self.theme.font
        line = QRectF(area.left(), middle.y(), area.width(), px(24))
        write(painter, line, title, font(TITLE, SEMIBOLD), palette.TEXT, CENTRE)
        painter.setFont(font(BODY))
        painter.setPen(QColor(palette.TEXT_SOFT))
        below = area.adjusted(0, line.bottom() - area.top(), 0, 0)
        painter.drawText(below, _WRAPPED, breakable(advice))
        self._paint_badge(painter)

    def _round_corners(self, painter: QPainter, area: QRectF) -> None:
        """Cover the corners, which is far cheaper than to clip the picture to a path."""
        radius = self.theme.px(RADIUS)
        corners = QPainterPath()  # its two outlines leave only what lies between them
        corners.addRect(area)
        corners.addRoundedRect(area, radius, radius)
        painter.fillPath(corners, QColor(palette.BACKGROUND))

    def _paint_heat(self, painter: QPainter) -> None:
        """Lay the activation map over the face: heatmap → crop → image → widget.

        The map is of the newest face of the last seconds, who may have left this picture.
        """
        face, activation = self._face, self._activation
        if activation is None or face is None:
            return
        if self._heat is None:
            self._heat = rendering.heat(activation)
        from_crop, invertible = rendering.affine(face.crop_from_image).inverted()
        if not invertible:
            return
        scale = CROP_SIZE / rendering.HEAT_SIZE
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setTransform(
            QTransform.fromScale(scale, scale) * from_crop * self.image_to_widget(), True
        )
        painter.drawImage(QPointF(0, 0), self._heat)
        painter.restore()

    def _paint_heat_caption(self, painter: QPainter) -> None:
        """What the map shows; between the two words lies the bar of its colours."""
        px = self.theme.px
        font = self.theme.font(CAPTION, MEDIUM)
        pill = self.caption_area()
        _pill(painter, pill)
        line = pill.adjusted(px(10), 0, -px(10), 0)
        write(painter, line, self._caption(), font, palette.TEXT, LEFT)
        if not self._heats():
            return
        little, much = HEATMAP_ENDS
        write(painter, line, much, font, palette.TEXT_SOFT, RIGHT)
        bar = QRectF(0, 0, px(_BAR), px(6))
        bar.moveCenter(pill.center())
        bar.moveRight(line.right() - text_width(much, font) - px(8))
        line.setRight(bar.left() - px(8))
        write(painter, line, little, font, palette.TEXT_SOFT, RIGHT)
        legend(painter, bar, rendering.heat_legend())

    def _paint_face(self, painter: QPainter) -> None:
        box = self.face_area()
        if box is None:
            return
        px = self.theme.px
        text, colour, sure = self._tag
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for ink, width, style in (
            (QColor(0, 0, 0, 110), px(5), Qt.PenStyle.SolidLine),
            (QColor(colour), px(2.4), Qt.PenStyle.SolidLine if sure else _NOT_SURE_LINE),
        ):
            painter.setPen(QPen(ink, width, style, Qt.PenCapStyle.RoundCap))
            painter.drawPath(_corners(box, px(10)))
        if (label := self.tag_area()) is None:
            return
        if sure:
            fill(painter, label, colour, px(7))
            write(painter, label, text, self._tag_font(), palette.ink_on(colour), CENTRE)
            return
        fill(painter, label, _SHADE, px(7))
        painter.setPen(QPen(QColor(colour), px(1.4)))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(label, px(7), px(7))
        write(painter, label, text, self._tag_font(), palette.TEXT, CENTRE)

    def _paint_badge(self, painter: QPainter) -> None:
        if not self._badge:
            return
        px = self.theme.px
        font = self.theme.font(BODY, SEMIBOLD)
        pill = QRectF(0, 0, self._badge_width(), px(28))
        pill.moveBottomRight(self._foot().bottomRight() - QPointF(px(12), px(12)))
        _pill(painter, pill)
        write(painter, pill, self._badge, font, palette.TEXT, CENTRE)

    def _paint_invitation(self, painter: QPainter) -> None:
        px = self.theme.px
        area = QRectF(self.rect())
        fill(painter, area, QColor(13, 16, 20, 200), px(RADIUS))
        pen = QPen(QColor(palette.ACCENT), px(2), Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        inset = px(14)
        painter.drawRoundedRect(area.adjusted(inset, inset, -inset, -inset), px(8), px(8))
        font = self.theme.font(TITLE, SEMIBOLD)
        write(painter, area, "Drop to open this recording", font, palette.TEXT, CENTRE)

    # -- pointer -------------------------------------------------------------------------------

    def tip_at(self, place: QPoint) -> str:
        if self._image is not None and self.caption_area().contains(place.toPointF()):
            return _HEATMAP_TIP
        return "" if self.face_area() is None else _WHOSE


def _pill(painter: QPainter, area: QRectF) -> None:
    fill(painter, area, _PILL, area.height() / 2)


def _corners(box: QRectF, radius: float) -> QPainterPath:
    """The four corners of a rounded rectangle, each with a stretch of its sides."""
    reach = min(box.width(), box.height()) * 0.2 + radius
    path = QPainterPath()
    for x, y, right, down in (
        (box.left(), box.top(), 1, 1),
        (box.right(), box.top(), -1, 1),
        (box.right(), box.bottom(), -1, -1),
        (box.left(), box.bottom(), 1, -1),
    ):
        path.moveTo(x, y + down * reach)
        path.lineTo(x, y + down * radius)
        path.quadTo(x, y, x + right * radius, y)
        path.lineTo(x + right * reach, y)
    return path
