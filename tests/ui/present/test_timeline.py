"""The timeline in words."""

from models.labels import EMOTIONS
from ui.present import timeline


def test_the_timeline_is_told_around_where_playback_stands() -> None:
    stretches = [("neutral", 1.0, 5.2), ("not sure", 5.2, 6.0), ("happy", 6.0, 19.2)]
    told = timeline.timeline_words(stretches, position=5.4)
    assert told == "neutral 0:01–0:05, not sure 0:05–0:06, happy 0:06–0:19; at 0:05"
    assert timeline.timeline_words([], position=0.0) == "at 0:00"
    many = [(str(index), float(index), index + 1.0) for index in range(40)]
    for position, first, last in ((0.5, "0", "9"), (20.5, "12", "21"), (99.0, "30", "39")):
        names = [
            part.split()[0] for part in timeline.timeline_words(many, position=position).split(",")
        ]
        assert (names[0], names[-1], len(names)) == (first, last, 10)


def test_the_last_minute_is_told_by_how_long_ago_it_was() -> None:
    stretches = [("sad", 70.0, 80.0), ("happy", 80.0, 101.0)]
    told = timeline.timeline_words(stretches, end=101.0)
    assert told == "sad 31–21 s, happy 21–0 s ago"
    stretches.append(("not sure", 101.0, 101.2))
    paused = timeline.timeline_words(stretches, end=101.2, paused=True)
    assert paused == "sad 31–21 s, happy 21–0 s, not sure 0 s before the pause"
    assert timeline.timeline_words([], end=0.0) == ""


def test_names_are_shortened_as_far_as_they_stay_apart() -> None:
    short = {name: timeline.short_names(name, EMOTIONS) for name in EMOTIONS}
    assert short["happy"] == ("Hap", "H")
    assert (short["sad"], short["surprised"]) == (("Sa",), ("Sur", "Su"))
    fewest = [each[-1] for each in short.values()]
    assert len(set(fewest)) == len(EMOTIONS)
    taken = ("walk", "walk the dog", "W")
    assert timeline.short_names("walk the dog", taken) == ("Walk ",)
    assert timeline.short_names("walk", taken) == timeline.short_names("W", taken) == ()
