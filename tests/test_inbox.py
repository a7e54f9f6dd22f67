"""The inbox: everything in the order in which it came, within bounds."""

from __future__ import annotations

import numpy as np

from realtime.inbox import Inbox
from realtime.messages import Input, Sighting, Sound, SourceChange, StartOver, Track


def sighting(number: int) -> Sighting:
    return Sighting(timestamp=number / 30, sequence=number, face=None, brightness=0.5)


def sound(number: int) -> Sound:
    return Sound(timestamp=number / 100, samples=np.zeros(160, np.float32))


def test_what_came_is_taken_once_and_in_order() -> None:
    inbox = Inbox(16000)
    messages: list[Input] = [sound(0), sighting(0), StartOver(), sound(1), sighting(1)]
    for message in messages:
        inbox.put(message)
    assert list(inbox.take()) == messages
    assert list(inbox.take()) == []
    inbox.put(messages[0])
    assert list(inbox.take()) == messages[:1]


def test_the_oldest_input_makes_room_but_no_control_is_lost() -> None:
    inbox = Inbox(most_samples=1600, most_sightings=3)
    change = SourceChange(track=Track.SOUND, connected=True)
    inbox.put(change)
    for number in range(100):
        inbox.put(sound(number))
        inbox.put(sighting(number))
        if number == 97:
            inbox.put(StartOver())
    taken = list(inbox.take())
    heard = [each for each in taken if isinstance(each, Sound)]
    seen = [each for each in taken if isinstance(each, Sighting)]
    assert [each.timestamp for each in heard] == [number / 100 for number in range(90, 100)]
    assert [each.sequence for each in seen] == [97, 98, 99]
    assert taken[0] is change
    assert taken.index(StartOver()) == taken.index(seen[1]) - 2  # sound 98 lies between


def test_pictures_are_missed_only_once_somebody_takes_them() -> None:
    inbox = Inbox(16000, most_sightings=3)
    for number in range(5):  # while the network is loaded
        inbox.put(sighting(number))
    list(inbox.take())
    assert inbox.pictures_missed == 0
    for number in range(5):
        inbox.put(sighting(number))
    assert inbox.pictures_missed == 2
