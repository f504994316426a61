"""Tests of `skcae.datasets`: own images, recordings and whole images; data that are made up."""

import pickle
import sys

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from skcae import ConvAutoencoder, DenoisingConvAutoencoder
from skcae._data import _stored
from skcae.datasets import (
    apply_to_tiles,
    average_windows,
    load_image_folder,
    make_images,
    make_recording,
    make_signals,
    make_volumes,
    sliding_windows,
)

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)
COLOURS = RNG.integers(256, size=(6, 8, 10, 3), dtype=np.uint8)


# A folder of images -----------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """Three photographs each of two classes, one of them in a folder of its own."""
    for i, (name, image) in enumerate(zip(["cat", "dog/old", "dog"] * 2, COLOURS, strict=True)):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / name / f"{i}.png")
    return tmp_path


def write(path, array, **options):
    Image.fromarray(array).save(path, **options)


def test_images_have_the_names_of_their_folders(folder):
    data = load_image_folder(folder)
    np.testing.assert_array_equal(data.images, COLOURS[[0, 3, 2, 5, 1, 4]])
    assert data.target.tolist() == [0, 0, 1, 1, 1, 1]
    assert data.target_names == ["cat", "dog"]
    assert [name[-5:] for name in data.filenames[data.target == 0]] == ["0.png", "3.png"]
    images, target = load_image_folder(folder, return_X_y=True)
    np.testing.assert_array_equal(images, data.images)
    np.testing.assert_array_equal(target, data.target)


def test_images_without_subfolders_have_one_label(folder):
    data = load_image_folder(folder / "cat")
    assert (data.target_names, data.target.tolist()) == (["cat"], [0, 0])


def test_what_is_no_image_is_left_out(folder):
    (folder / "cat/notes.txt").write_text("photographs")
    (folder / "cat/._0.png").write_bytes(b"of a file system")
    (folder / ".cache").mkdir()
    write(folder / ".cache/0.png", COLOURS[0])
    (folder / "empty").mkdir()
    assert load_image_folder(folder).target_names == ["cat", "dog"]
    assert len(load_image_folder(folder).images) == 6


def test_lazy_images_are_the_same(folder):
    expected, lazy = load_image_folder(folder).images, load_image_folder(folder, lazy=True).images
    assert (lazy.shape, lazy.dtype, len(lazy)) == (expected.shape, expected.dtype, 6)
    for index in (2, -1, slice(1, 4), [0, 5], np.arange(6) > 3):
        np.testing.assert_array_equal(lazy[index], expected[index])
    np.testing.assert_array_equal(np.asarray(pickle.loads(pickle.dumps(lazy))), expected)
    train, test = train_test_split(lazy, random_state=0)
    assert train.shape[1:] == test.shape[1:] == (8, 10, 3)


def test_lazy_images_larger_than_memory_are_streamed(folder, monkeypatch):
    expected, lazy = load_image_folder(folder).images, load_image_folder(folder, lazy=True).images
    ae = ConvAutoencoder(
        2, channel_axis=-1, hidden_channels=(2,), max_epochs=1, contamination=0.1, random_state=0
    )
    ae.fit(expected)
    for name, size in (("WHOLE", 0), ("WINDOW", 500), ("BLOCK", 500)):
        monkeypatch.setattr(_stored, name, size)
    monkeypatch.setattr(type(lazy), "__array__", None)  # never as a whole
    for method in ("transform", "reconstruct", "score_samples", "anomaly_map"):
        result = getattr(ae, method)
        np.testing.assert_array_equal(result(lazy), result(expected))
    assert ae.fit(lazy).transform(lazy).shape == (6, 2)


def test_size_and_mode_are_unified(folder):
    assert load_image_folder(folder, size=(4, 6), mode="L").images.shape == (6, 4, 6)
    write(folder / "dog/9.png", COLOURS[0, :5])
    with pytest.raises(ValueError, match=r"9.png has the size \(5, 10\).*pass size=\(8, 10\)"):
        load_image_folder(folder)
    assert load_image_folder(folder, size=8).images.shape == (7, 8, 8, 3)
    write(folder / "dog/9.png", COLOURS[0, :, :, 0])
    with pytest.raises(ValueError, match=r"9.png has the mode 'L'.*0.png.*pass mode='RGB'"):
        load_image_folder(folder, lazy=True)
    assert load_image_folder(folder, mode="RGB").images.shape == (7, 8, 10, 3)


def test_constant_images_stay_constant_when_resized(tmp_path):
    write(tmp_path / "grey.png", np.full((30, 50), 77, np.uint8))
    assert np.all(load_image_folder(tmp_path, size=(64, 20)).images == 77)


def test_photographs_are_upright(tmp_path):
    orientation = Image.Exif()
    orientation[0x0112] = 6  # a quarter turn
    write(tmp_path / "phone.png", COLOURS[0], exif=orientation)
    upright = np.rot90(COLOURS[0], -1)
    np.testing.assert_array_equal(load_image_folder(tmp_path).images[0], upright)


def test_palettes_masks_and_transparency(tmp_path):
    grey = COLOURS[0, :, :, 0]
    Image.fromarray(COLOURS[0]).quantize(256).save(tmp_path / "0.png")
    np.testing.assert_array_equal(load_image_folder(tmp_path).images[0], COLOURS[0])
    write(tmp_path / "0.png", grey > 99)
    np.testing.assert_array_equal(load_image_folder(tmp_path).images[0], 255 * (grey > 99))
    write(tmp_path / "0.png", np.dstack([COLOURS[0], np.where(grey > 99, 255, 0)]).astype("u1"))
    assert load_image_folder(tmp_path).images.shape == (1, 8, 10, 4)
    opaque = load_image_folder(tmp_path, mode="RGB").images[0]
    np.testing.assert_array_equal(opaque, np.where(grey[..., None] > 99, COLOURS[0], 255))


def test_sixteen_bits_are_not_cut_off(tmp_path):
    deep = 257 * COLOURS[0, :, :, 0].astype(np.uint16)
    write(tmp_path / "0.png", deep)
    assert load_image_folder(tmp_path).images.dtype == np.uint16
    for mode in (None, "F"):
        np.testing.assert_array_equal(load_image_folder(tmp_path, mode=mode).images[0], deep)
    with pytest.raises(ValueError, match=r"more than 8 bits a value.*pass mode='F'"):
        load_image_folder(tmp_path, mode="L")


@pytest.mark.parametrize("content", [b"", b"no image", None], ids=["empty", "text", "truncated"])
def test_an_unreadable_image_is_named(folder, content):
    whole = (folder / "cat/0.png").read_bytes()
    (folder / "dog/9.png").write_bytes(whole[:200] if content is None else content)
    with pytest.raises(ValueError, match=r"9.png cannot be read as an image.*take it out"):
        load_image_folder(folder)
    lazy = load_image_folder(folder, size=8, mode="L", lazy=True).images  # not looked at yet
    with pytest.raises(ValueError, match=r"9.png cannot be read as an image"):
        ConvAutoencoder(2).fit(lazy)


def test_wrong_folders(folder, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="nowhere is no folder"):
        load_image_folder(folder / "nowhere")
    with pytest.raises(ValueError, match=r"size=\(1, 2, 3\) is no size; pass \(height, width\)"):
        load_image_folder(folder, size=(1, 2, 3))
    with pytest.raises(ValueError, match="mode='grey' is unknown; choose one of L, RGB"):
        load_image_folder(folder, mode="grey")
    write(folder / "lost.png", COLOURS[0])
    with pytest.raises(ValueError, match=r"lost.png lies beside folders of images"):
        load_image_folder(folder)
    (folder / "papers").mkdir()
    (folder / "papers/a.txt").write_text("text")
    with pytest.raises(ValueError, match=r"papers holds no images; it holds a.txt"):
        load_image_folder(folder / "papers")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="needs Pillow; install it"):
        load_image_folder(folder)


# Recordings -------------------------------------------------------------------------------------

RECORDING = RNG.normal(size=(103, 2))


@pytest.mark.parametrize("step", [1, 3, 7, 20])
@pytest.mark.parametrize("recording", [RECORDING, RECORDING[:, 0]], ids=["channels", "signal"])
def test_the_average_of_windows_is_the_recording(recording, step):
    windows = sliding_windows(recording, 20, step)
    assert windows.shape == ((103 - 20) // step + 1, 20, *recording.shape[1:])
    np.testing.assert_array_equal(windows[2], recording[2 * step : 2 * step + 20])
    assert np.shares_memory(windows, recording)
    averages = average_windows(windows, 20, step, n_times=103)
    held = (len(windows) - 1) * step + 20
    np.testing.assert_allclose(averages[:held], recording[:held], rtol=1e-12)
    assert np.isnan(averages[held:]).all()
    np.testing.assert_array_equal(average_windows(windows, 20, step), averages[:held])


def test_scores_of_windows_become_scores_of_time_points():
    np.testing.assert_allclose(average_windows(np.full(28, 0.1), 20, 3), 0.1, rtol=1e-12)
    np.testing.assert_array_equal(average_windows([0, 2, 4], 2), [0, 1, 3, 4])
    gaps = average_windows([1, 2], 2, step=3)  # a time point between windows
    np.testing.assert_array_equal(gaps, [1, 1, np.nan, 2, 2])


def test_windows_of_a_memory_map_stay_on_disk(tmp_path, monkeypatch):
    recording = np.memmap(tmp_path / "recording", np.float32, "w+", shape=RECORDING.shape)
    recording[:] = RECORDING
    windows = sliding_windows(recording, 16)
    assert isinstance(windows, np.memmap)
    ae = ConvAutoencoder(
        2, channel_axis=-1, hidden_channels=(2,), max_epochs=1, contamination=0.1, random_state=0
    )
    expected = ae.fit(np.array(windows)).transform(np.array(windows))
    monkeypatch.setattr(_stored, "WHOLE", 0)
    monkeypatch.setattr(_stored, "WINDOW", 2**10)
    for outside in (windows, sliding_windows(RECORDING.astype(np.float32), 16)):
        assert isinstance(_stored.stored_or_array(outside), _stored.Stored)
        np.testing.assert_array_equal(ae.transform(outside), expected)
    assert ae.fit(windows).transform(windows).shape == (88, 2)
    apart = sliding_windows(RECORDING, 16, 16)  # no larger than the recording
    assert _stored.stored_or_array(apart) is apart


@pytest.mark.parametrize(("call", "text"), [
    (lambda: sliding_windows(RECORDING.T, 20), "time is its second axis, pass recording.T"),
    (lambda: sliding_windows(RECORDING[:, 0], 104), "length=104 is more than the 103 time points"),
    (lambda: sliding_windows(RECORDING[None], 20), "cut each and join the windows"),
    (lambda: sliding_windows(RECORDING, 20, 0), "step=0 is no number of time points"),
    (lambda: average_windows(np.ones(9), 20, 10, 90), "of 100 to 109 time points, not n_times=90"),
    (lambda: average_windows(np.ones((9, 2, 20)), 20), r"by np.moveaxis\(values, 1, 2\)"),
    (lambda: average_windows([], 20), "pass"),
])  # fmt: skip
def test_wrong_recordings(call, text):
    with pytest.raises(ValueError, match=text):
        call()


# Whole images -----------------------------------------------------------------------------------

WHOLE = RNG.random((37, 50, 3), dtype=np.float32)


@pytest.mark.parametrize("overlap", [0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize(("image", "tile_shape"), [
    (WHOLE, (16, 11, 3)),
    (WHOLE[..., 0], (37, 16)),
    (WHOLE[:, 0, 0], 8),
    (WHOLE[:20, :20, :, None] * np.ones(4), (8, 8, 3, 4)),
], ids=["colours", "grey", "signal", "volume"])  # fmt: skip
def test_tiles_of_an_image_make_the_image(image, tile_shape, overlap):
    same = apply_to_tiles(lambda tiles: tiles, image, tile_shape, overlap)
    assert same.dtype == image.dtype
    np.testing.assert_allclose(same, image, atol=1e-6)


def test_tiles_are_blended_without_seams():
    """Each tile has an offset of its own, which would show as a step at its edges."""
    signal, offsets = np.zeros(200), RNG.normal(size=99)
    blended = apply_to_tiles(lambda tiles: tiles + offsets[: len(tiles), None], signal, 32)
    assert np.abs(np.diff(blended)).max() < 0.1 * np.ptp(blended)
    once = apply_to_tiles(lambda tiles: np.arange(len(tiles)), signal, 20, overlap=0)
    np.testing.assert_allclose(once, np.repeat(np.arange(10), 20))


def test_integer_images_are_read_by_parts(monkeypatch):
    monkeypatch.setattr("skcae.datasets._overlapping.N_VALUES", 1000)
    image, n_tiles = (255 * WHOLE).astype(np.uint8), []

    def same(tiles):
        assert tiles.dtype == np.uint8
        n_tiles.append(len(tiles))
        return tiles

    np.testing.assert_allclose(apply_to_tiles(same, image, (8, 8, 3)), image, rtol=1e-5)
    assert max(n_tiles) == 1000 // 192


def test_a_whole_image_through_networks_trained_on_patches():
    patches = RNG.random((30, 8, 8, 3))
    dae = DenoisingConvAutoencoder(
        2, channel_axis=-1, hidden_channels=(2,), max_epochs=1, contamination=0.1, random_state=0
    ).fit(patches)
    for method in (dae.reconstruct, dae.anomaly_map, dae.score_samples):
        assert apply_to_tiles(method, WHOLE, dae.input_shape_).shape == WHOLE.shape
    constant = apply_to_tiles(dae.reconstruct, np.full((8, 8, 3), 0.5), dae.input_shape_)
    np.testing.assert_allclose(constant, dae.reconstruct(np.full((1, 8, 8, 3), 0.5))[0], rtol=1e-6)


@pytest.mark.parametrize(("arguments", "text"), [
    ((WHOLE, (8, 8)), "tile_shape=.* has 2 axes; pass one image, with channels"),
    ((WHOLE, (40, 8, 3)), "smaller than a tile.*pad it"),
    ((WHOLE, (8, 8.0, 3)), r"is no shape; pass its sides, as in \(32, 32\)"),
    ((WHOLE, (8, 8, 3), 1), r"overlap=1 is no share of a tile; pass a number in \[0, 1\)"),
])  # fmt: skip
def test_wrong_tiles(arguments, text):
    with pytest.raises(ValueError, match=text):
        apply_to_tiles(lambda tiles: tiles, *arguments)
    with pytest.raises(ValueError, match=r"function returned the shape .* must return that shape"):
        apply_to_tiles(lambda tiles: tiles[..., 0], WHOLE, (8, 8, 3))
    with pytest.raises(TypeError, match=r"is of type ConvAutoencoder, .* the method reconstruct"):
        apply_to_tiles(ConvAutoencoder(), WHOLE, (8, 8, 3))


# Made up ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "shape"), [
    (make_signals, (128,)), (make_images, (32, 32)), (make_volumes, (16, 16, 16)),
])  # fmt: skip
def test_samples_are_made_with_defects_where_the_mask_says(make, shape):
    X, y, masks = make(20, contamination=0.25, random_state=0)
    assert X.shape == masks.shape == (20, *shape)
    assert (np.sum(y == -1), np.sum(y == 1)) == (5, 15)
    has_defect = masks.reshape(20, -1).any(1)
    np.testing.assert_array_equal(has_defect, y == -1)
    np.testing.assert_array_equal(make(20, contamination=0.25, random_state=0)[0], X)
    assert np.any(make(20)[0] != make(20)[0])
    assert not np.any(make(20, contamination=0)[2])
    assert make(3, n_channels=2, random_state=0)[0].shape == (3, *shape, 2)
    for wrong, text in (({"n_samples": 0}, "n_samples=0"), ({"contamination": 2}, "=2 is no sh")):
        with pytest.raises(ValueError, match=text):
            make(**wrong)


def test_sizes_of_other_kinds_are_told():
    for size in (32, (32, 32, 3), (32, 0)):
        with pytest.raises(
            ValueError, match=r"pass \(height, width\), and channels as n_channels"
        ):
            make_images(2, size)


def test_a_recording_is_made_with_anomalies_in_its_second_half():
    recording, y = make_recording(4000, n_anomalies=7, random_state=0)
    assert (recording.shape, set(y)) == ((4000, 3), {1, -1})
    starts, ends = (np.flatnonzero(np.diff(y) == step) for step in (-2, 2))
    assert len(starts) == len(ends) == 7
    assert starts.min() >= 1999
    assert set(ends - starts) <= set(range(30, 81))
    spoiled = np.abs(recording - recording.mean(0)) / recording.std(0)
    assert spoiled[y == -1].max() < 1.2 * spoiled[y == 1].max()  # no threshold finds them
    with pytest.raises(ValueError, match=r"do not fit.*pass at least n_times=2000"):
        make_recording(1000)


def test_the_global_state_is_left_alone():
    before = np.random.get_state()[1].copy()
    for make in (make_signals, make_images, make_volumes, make_recording):
        make(2500 if make is make_recording else 2, random_state=None)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
