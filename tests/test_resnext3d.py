"""The paper's 3D ResNeXt-50: sizes as published, any clip length and picture size."""

import torch

from models.resnext3d import ResNeXt3D


def test_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        network = ResNeXt3D(n_classes=8)
    parameters = sum(each.numel() for each in network.parameters())
    assert round(parameters / 1e6, 3) == 25.882


def test_halves_space_five_times_and_time_four_times() -> None:
    with torch.device("meta"):
        maps = ResNeXt3D().features(torch.empty(1, 3, 30, 224, 224))
    assert maps.shape == (1, 2048, 2, 7, 7)


def test_answers_for_a_small_clip() -> None:
    torch.manual_seed(0)
    network = ResNeXt3D(depths=(1, 1, 1, 1)).eval()
    with torch.inference_mode():
        logits = network(torch.rand(2, 3, 4, 32, 32))
    assert logits.shape == (2, 8)
    assert bool(logits.isfinite().all())
