"""The voice branch, its starting point, and the augmentation it is trained with."""

import io
import struct
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.config import VoiceEncoderConfig
from models.labels import EMOTIONS
from models.sequence import AttentionPool, SequenceBranch
from models.training import augment_audio as audio
from models.training.data import VoiceClip
from models.training.live import voice_windows
from models.training.live.voice import voice_scores
from models.training.live.voice_settings import VoiceStageConfig
from models.training.live.voice_windows import VoiceEvaluation, augmented_mels
from models.training.starting_points import StartingPointError
from models.training.whisper import load_encoder, read_variables
from models.voice import VoiceClassifier, VoiceEncoder

SMALL = VoiceEncoderConfig(n_mels=8, width=12, layers=3, heads=2, max_frames=20, channels=6)


def tone(count: int, hertz: float = 220.0) -> NDArray[np.float32]:
    time = np.arange(count, dtype=np.float64) / 16000
    return np.asarray(0.3 * np.sin(2 * np.pi * hertz * time), dtype=np.float32)


def speech_like(count: int = 40000, first: int = 12000, last: int = 28000) -> NDArray[np.float32]:
    samples = np.random.default_rng(3).normal(scale=1e-4, size=count).astype(np.float32)
    samples[first:last] += tone(last - first)
    return samples


# --- network


@pytest.mark.parametrize("frames", [1, 2, 13, 40])
def test_encoder_gives_half_as_many_frames(frames: int) -> None:
    assert VoiceEncoder(SMALL)(torch.randn(2, 8, frames)).shape == (2, 6, (frames + 1) // 2)


def test_a_window_does_not_depend_on_its_neighbours_in_the_batch() -> None:
    encoder = VoiceEncoder(SMALL).eval()
    mels = torch.randn(3, 8, 30)
    torch.testing.assert_close(encoder(mels)[1:2], encoder(mels[1:2]))


def test_encoder_names_both_numbers_when_the_spectrogram_does_not_fit() -> None:
    encoder = VoiceEncoder(SMALL)
    with pytest.raises(ValueError, match="expected 8 mel bins, got 9"):
        encoder(torch.randn(1, 9, 10))
    with pytest.raises(ValueError, match="at most 40 mel frames, got 41"):
        encoder(torch.randn(1, 8, 41))


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 38, 40])
def test_upper_layers_read_means_of_pairs(columns: int) -> None:
    encoder = VoiceEncoder(replace(SMALL, halved_after=2)).eval()
    with torch.inference_mode():
        states = encoder.hidden_states(mel := torch.randn(2, 8, columns))
        frames = -(-columns // 2)
        assert [state.shape[1] for state in states] == [frames, frames, -(-frames // 2)]
        pairs = [states[1][:, i : i + 2].mean(dim=1) for i in range(0, frames, 2)]
        torch.testing.assert_close(states[2], encoder.layers[2](torch.stack(pairs, dim=1)))
        assert encoder(mel).shape == (2, 6, -(-frames // 2))
        assert encoder(mel).isfinite().all()


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"width": 10, "heads": 3}, "10 .* 3 heads"),
        ({"layers": 0}, "not 0"),
        ({"halved_after": 4}, "below the 4 layers, not 4"),
        ({"halved_after": -1}, "not -1"),
    ],
)
def test_impossible_sizes_are_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VoiceEncoderConfig(**sizes)


def test_a_training_step_of_one_window_reaches_the_first_convolution() -> None:
    model = VoiceClassifier(SMALL, hidden=5).train()
    functional.cross_entropy(model(torch.randn(1, 8, 25)), torch.tensor([3])).backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        if name == "encoder.positions":
            continue  # rows beyond this window stay untouched
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    gradient = model.encoder.conv1.weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_sequence_branch_reads_both_ways() -> None:
    branch = SequenceBranch(6, 4).eval()
    frames = torch.randn(1, 6, 9)
    changed = frames.clone()
    changed[:, :, 4] += torch.randn(6)
    difference = (branch(frames) - branch(changed)).abs().sum(dim=1)[0]
    assert branch(frames).shape == (1, 8, 9)
    assert (difference > 0).all()


def test_attention_pool_is_the_average_with_the_weights_it_returns() -> None:
    sequence = torch.randn(2, 5, 7)
    pooled, weights = AttentionPool(5)(sequence)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))
    torch.testing.assert_close(pooled, torch.einsum("bct,bt->bc", sequence, weights))


def test_onnxruntime_gives_the_same_frames_for_any_batch_and_length(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    encoder = VoiceEncoder(SMALL).eval()
    path = tmp_path / "encoder.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # about constants and a newer exporter; see models/export.py
        torch.onnx.export(
            encoder,
            (torch.randn(2, 8, 30),),
            path,
            dynamo=False,
            input_names=["mel"],
            dynamic_axes={"mel": {0: "batch", 2: "columns"}},
        )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for batch, frames in ((1, 40), (3, 17)):
        mel = torch.randn(batch, 8, frames)
        (answer,) = session.run(None, {"mel": mel.numpy()})
        with torch.inference_mode():
            torch.testing.assert_close(torch.from_numpy(answer), encoder(mel))


# --- starting point


def model_file(variables: dict[str, NDArray[Any]], version: int = 6) -> bytes:
    """Variables in CTranslate2's file format."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    file = io.BytesIO()
    file.write(struct.pack("<I", version) + text("WhisperSpec"))
    file.write(struct.pack("<II", 3, len(variables)))
    codes = {"float32": 0, "int16": 2, "float16": 4}
    for name, value in variables.items():
        file.write(text(name) + struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape))
        file.write(struct.pack("<BI", codes[value.dtype.name], value.nbytes) + value.tobytes())
    file.write(struct.pack("<I", 0))
    return file.getvalue()


def whisper_like(config: VoiceEncoderConfig, positions: int = 50) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(1)
    width = config.width
    shapes: dict[str, tuple[int, ...]] = {
        "decoder/embeddings/weight": (5, width),
        "encoder/position_encodings/encodings": (positions, width),
        "encoder/conv1/weight": (width, config.n_mels, 3),
        "encoder/conv1/bias": (width,),
        "encoder/conv2/weight": (width, width, 3),
        "encoder/conv2/bias": (width,),
        "encoder/layer_norm/gamma": (width,),
        "encoder/layer_norm/beta": (width,),
    }
    for index in range(config.layers):
        layer = f"encoder/layer_{index}"
        for norm in ("self_attention", "ffn"):
            shapes |= {f"{layer}/{norm}/layer_norm/{part}": (width,) for part in ("gamma", "beta")}
        for name, rows, columns in (
            ("self_attention/linear_0", 3 * width, width),
            ("self_attention/linear_1", width, width),
            ("ffn/linear_0", 4 * width, width),
            ("ffn/linear_1", width, 4 * width),
        ):
            shapes[f"{layer}/{name}/weight"] = (rows, columns)
            shapes[f"{layer}/{name}/bias"] = (rows,)
    return {name: rng.normal(size=shape).astype(np.float16) for name, shape in shapes.items()}


def whisper_reference(mel: Tensor, values: dict[str, NDArray[Any]], heads: int) -> Tensor:
    """Whisper's encoder as published, in double precision, one head after the other."""
    value = {name: torch.from_numpy(array.astype(np.float64)) for name, array in values.items()}

    def part(name: str) -> tuple[Tensor, Tensor]:
        first, second = ("gamma", "beta") if "norm" in name else ("weight", "bias")
        return value[f"encoder/{name}/{first}"], value[f"encoder/{name}/{second}"]

    def norm(name: str, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        gamma, beta = part(name)
        return centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt() * gamma + beta

    def linear(name: str, x: Tensor) -> Tensor:
        weight, bias = part(name)
        return x @ weight.T + bias

    x = functional.gelu(functional.conv1d(mel, *part("conv1"), padding=1))
    x = functional.gelu(functional.conv1d(x, *part("conv2"), padding=1, stride=2)).mT
    x = x + value["encoder/position_encodings/encodings"][: x.shape[1]]
    width = x.shape[-1]
    size = width // heads
    for index in range(sum("ffn/linear_0/weight" in name for name in values)):
        layer = f"layer_{index}"
        joined = linear(
            f"{layer}/self_attention/linear_0", norm(f"{layer}/self_attention/layer_norm", x)
        )
        outputs = []
        for head in range(heads):
            query, key, content = (
                joined[..., start + head * size : start + (head + 1) * size]
                for start in (0, width, 2 * width)
            )
            outputs.append((query @ key.mT / size**0.5).softmax(dim=-1) @ content)
        x = x + linear(f"{layer}/self_attention/linear_1", torch.cat(outputs, dim=-1))
        hidden = functional.gelu(
            linear(f"{layer}/ffn/linear_0", norm(f"{layer}/ffn/layer_norm", x))
        )
        x = x + linear(f"{layer}/ffn/linear_1", hidden)
    return norm("layer_norm", x)


def test_encoder_with_whispers_weights_is_whispers_encoder(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(model_file(whisper_like(SMALL)))
    variables = read_variables(path)
    assert not any(name.startswith("decoder") for name in variables)
    encoder = VoiceEncoder(SMALL).eval()
    load_encoder(encoder, variables)
    mel = torch.randn(2, 8, 23)
    with torch.inference_mode():
        final = encoder.norms[-1](encoder.hidden_states(mel)[-1])
    expected = whisper_reference(mel.double(), variables, SMALL.heads)
    torch.testing.assert_close(final.double(), expected, atol=1e-3, rtol=1e-3)


def test_a_shallower_encoder_takes_the_first_layers(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(model_file(whisper_like(SMALL)))
    shallow = VoiceEncoder(
        VoiceEncoderConfig(n_mels=8, width=12, layers=2, heads=2, max_frames=20, channels=6)
    )
    load_encoder(shallow, read_variables(path))
    norm = shallow.norms[-1]
    assert isinstance(norm, nn.LayerNorm)
    torch.testing.assert_close(norm.weight.detach(), torch.ones(12))


@pytest.mark.parametrize(
    "damage",
    [b"", b"not a model at all", model_file({}, version=5), model_file(whisper_like(SMALL))[:900]],
)
def test_damaged_model_files_are_refused(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(damage)
    with pytest.raises(StartingPointError, match=r"model\.bin"):
        read_variables(path)


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(StartingPointError, match="encoder/conv1/weight"):
        load_encoder(VoiceEncoder(SMALL), {})


# --- augmentation


@pytest.mark.parametrize("seed", range(20))
def test_augmentation_is_finite_in_range_and_reproducible(seed: int) -> None:
    always = audio.AudioAugmentation(
        speed=1,
        reverberation=1,
        colour=1,
        telephone=0.5,
        noise=1,
        clipping=1,
        companding=1,
    )
    samples = speech_like()
    first, second = (
        audio.augment_audio(
            samples, np.random.default_rng(seed), babble=[tone(9000), tone(30000)], config=always
        )
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.abs(first).max() <= 1.0
    assert 0.9 <= len(samples) / len(first) <= 1.11


def test_augmentation_leaves_its_input_alone() -> None:
    samples = speech_like()
    before = samples.copy()
    for seed in range(5):
        audio.augment_audio(samples, np.random.default_rng(seed))
    np.testing.assert_array_equal(samples, before)


@pytest.mark.parametrize("count", [0, 100, 5000])
def test_silence_and_scraps_survive_every_change(count: int) -> None:
    samples = np.zeros(max(count, 1), dtype=np.float32)
    rng = np.random.default_rng(0)
    for changed in (
        audio.reverberate(samples, 0.2, rng),
        audio.add_noise(samples, audio.random_noise(len(samples), rng), 20.0),
        audio.colour(samples, rng),
        audio.compand(samples),
    ):
        assert np.isfinite(changed).all()
        assert len(changed) == len(samples)


def test_noise_has_the_wanted_ratio_to_the_speech() -> None:
    samples, noise = speech_like(), tone(40000, 3000.0)
    added = audio.add_noise(samples, noise, 10.0) - samples
    ratio = np.square(samples[12000:28000]).mean() / np.square(added).mean()
    assert 10 * np.log10(ratio) == pytest.approx(10.0, abs=0.3)


def test_speed_moves_length_and_pitch() -> None:
    faster = audio.change_speed(tone(16000, 400.0), 1.1)
    spectrum = np.abs(np.fft.rfft(faster))
    assert len(faster) == pytest.approx(16000 / 1.1, abs=2)
    assert spectrum.argmax() * 16000 / len(faster) == pytest.approx(440.0, abs=3.0)


def test_telephone_keeps_only_its_band() -> None:
    for hertz, kept in ((50.0, False), (1000.0, True), (7000.0, False)):
        gain = np.std(audio.band_limit(tone(16000, hertz), 300.0, 3400.0)) / np.std(tone(16000))
        assert (gain > 0.9) == kept


def test_speech_is_found_between_the_silences() -> None:
    first, last = audio.speech_span(speech_like())
    assert abs(first - 12000) <= 320
    assert abs(last - 28000) <= 320


def test_centred_window_has_the_speech_in_its_middle() -> None:
    window = audio.centred_window(speech_like(), 48000)
    first, last = audio.speech_span(window)
    assert window.shape == (48000,)
    assert (first + last) / 2 == pytest.approx(24000, abs=320)


def test_random_windows_hold_at_least_part_of_the_speech_anywhere() -> None:
    rng = np.random.default_rng(0)
    heard, starts = [], []
    for _ in range(200):
        window = audio.random_window(speech_like(), 24000, rng, least=0.5)
        first, last = audio.speech_span(window)
        heard.append(last - first)
        starts.append(first)
    assert min(heard) >= 0.5 * 16000 - 640
    assert min(starts) == 0
    assert max(starts) > 10000


# --- training pieces


def clips(count: int = 7) -> list[VoiceClip]:
    return [
        VoiceClip(f"clip-{index}", index % 8, index % len(EMOTIONS), 1, speech_like())
        for index in range(count)
    ]


def test_masked_windows_keep_their_shape_for_any_length() -> None:
    rng = np.random.default_rng(0)
    for seconds in (1.5, 2.337, 3.0):
        mels = augmented_mels(clips(3), clips(), seconds, VoiceStageConfig(), rng)
        assert mels.shape == (3, 80, round(seconds * 100))
        assert np.isfinite(mels).all()


def test_murmur_behind_a_clip_is_of_others_and_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everybody = [  # in file order, one class after the other
        VoiceClip(f"{emotion}-{actor}", emotion, emotion, actor, speech_like())
        for emotion in range(len(EMOTIONS))
        for actor in range(1, 25)
    ]
    of = {id(clip.samples): clip for clip in everybody}
    heard: list[tuple[VoiceClip, list[VoiceClip]]] = []

    def note(
        samples: audio.Samples, _rng: object, *, babble: list[audio.Samples], config: object
    ) -> audio.Samples:
        heard.append((of[id(samples)], [of[id(other)] for other in babble]))
        return samples

    monkeypatch.setattr(voice_windows, "augment_audio", note)
    rng = np.random.default_rng(0)
    augmented_mels(everybody[:24], everybody, 1.5, VoiceStageConfig(), rng)
    assert all(clip.actor != other.actor for clip, others in heard for other in others)
    same = [clip.label == other.label for clip, others in heard for other in others]
    assert np.mean(same) < 0.4  # one in seven by chance


def test_scores_of_a_network_that_knows_half_the_classes() -> None:
    class Knows(nn.Module):
        def forward(self, mel: Tensor) -> Tensor:
            return functional.one_hot(mel[:, 0, 0].long(), len(EMOTIONS)).float()

    labels = np.array([0, 0, 0, 1])
    guesses = torch.tensor([0.0, 0.0, 0.0, 2.0])
    data = VoiceEvaluation(
        mels=guesses[:, None, None].expand(4, 80, 10),
        labels=labels,
        actors=np.ones(4, np.int64),
        source="",
    )
    scores = voice_scores(Knows(), data, torch.device("cpu"))
    assert scores["accuracy"] == 0.75
    assert scores["balanced_accuracy"] == 0.5
    assert scores["neutral"] == 1.0


@pytest.mark.parametrize(
    ("values", "message"), [({"shortest_seconds": 4.0}, "not 4"), ({"epochs": 0}, "epochs .* 0")]
)
def test_impossible_training_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VoiceStageConfig(**values)
