"""Training sets, samplers and the loader."""

import io
import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from facetool.errors import FormatError, ImageError, UsageError
from facetool.files.recordio import RecordWriter
from facetool.images.read import decode_image
from facetool.images.records import format_record
from facetool.training.data import (
    IdentitySampler,
    Loader,
    PlainSampler,
    TrainingSet,
    decode,
    flips,
)

SIZE = (14, 12)


def picture(number, size=SIZE):
    """Pixels unlike those of any other number, and unlike their mirror image."""
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (*size, 3), dtype=np.uint8)


def encoded(pixels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Three people with 3, 1 and 4 images, numbered from 0."""
    number = 0
    for person, images in (("Ann", 3), ("Bob", 1), ("Eve", 4)):
        (tmp_path / person).mkdir()
        for _ in range(images):
            (tmp_path / person / f"{number}.png").write_bytes(encoded(picture(number)))
            number += 1
    return tmp_path


def write_records(path, header=True):
    """People 5, 7 and 9 with 2, 3 and 1 images, keys 1 to 6; the image is picture(key)."""
    people = [(5, [1, 2]), (7, [3, 4, 5]), (9, [6])]
    with path.open("wb") as records, path.with_suffix(".idx").open("w") as index:
        writer = RecordWriter(records, index)
        if header:
            writer.write(0, format_record((7.0, 10.0), 0))
        for label, keys in people:
            for key in keys:
                writer.write(key, format_record((float(label),), key, encoded(picture(key))))
        if header:
            for place, (_, keys) in enumerate(people):
                writer.write(7 + place, format_record((float(keys[0]), keys[-1] + 1.0), 7 + place))


def load(dataset, batches, workers=2, seed=0, **options):
    with Loader(dataset, batches, workers, seed, **options) as loader:
        return list(loader), loader.damaged


def test_a_folder_of_people(folder):
    (folder / "stray.png").write_bytes(encoded(picture(99)))
    dataset = TrainingSet(folder)
    assert len(dataset) == 8
    assert dataset.identities == ("Ann", "Bob", "Eve")
    assert dataset.classes == 3
    assert dataset.labels.tolist() == [0, 0, 0, 1, 2, 2, 2, 2]
    assert dataset.labels.dtype == np.int64
    assert dataset.size == SIZE
    assert dataset.unlabelled == 1
    for index in range(8):
        assert np.array_equal(dataset.read(index), picture(index))


@pytest.mark.parametrize("header", [True, False])
def test_a_record_file(tmp_path, header):
    write_records(tmp_path / "train.rec", header)
    dataset = TrainingSet(tmp_path / "train.rec")
    assert dataset.identities == ("5", "7", "9")
    assert dataset.labels.tolist() == [0, 0, 1, 1, 1, 2]
    assert dataset.size == SIZE
    for index in range(6):
        assert np.array_equal(dataset.read(index), picture(index + 1))


def test_a_record_file_of_mxnet(shared):
    records = shared / "golden" / "mxnet" / "records" / "face2rec2"
    dataset = TrainingSet(records / "train.rec")
    listed = [line.split("\t") for line in (records / "train.lst").read_text().splitlines()]
    assert len(dataset) == len(listed)
    assert dataset.classes == len({line[2] for line in listed})
    assert dataset.read(len(dataset) - 1).shape == (*dataset.size, 3)


def test_no_people_or_no_image_is_told(tmp_path):
    with pytest.raises(UsageError, match="no images with identities"):
        TrainingSet(tmp_path)
    (tmp_path / "Ann").mkdir()
    (tmp_path / "Ann" / "1.png").write_bytes(b"nothing")
    with pytest.raises(FormatError, match="none of the images"):
        TrainingSet(tmp_path)


def test_an_image_of_another_size_is_no_crop_of_this_set(folder):
    (folder / "Eve" / "5.png").write_bytes(encoded(picture(5, (20, 12))))
    with pytest.raises(ImageError, match="12x20 pixels where others have 12x14"):
        TrainingSet(folder).read(5)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", mode) for mode in ("RGB", "L", "P", "RGBA", "LA", "1", "I;16")]
    + [("JPEG", "RGB"), ("JPEG", "L")]
    + [("BMP", "RGB")],
)
def test_the_fast_way_decodes_the_same_pixels(kind, mode):
    smooth = np.asarray(Image.fromarray(picture(3, (6, 6))).resize((112, 112)))
    file = io.BytesIO()
    upright = Image.Exif()
    upright[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(smooth).convert(mode).save(
        file, kind, **({} if kind == "BMP" else {"exif": upright})
    )
    found, wanted = decode(file.getvalue()), decode_image(file.getvalue())
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.98])
def test_a_truncated_image_is_damaged(kind, kept):
    data = encoded(picture(3, (112, 112)), kind)
    with pytest.raises(ImageError):
        decode(data[: int(len(data) * kept)])


@pytest.mark.parametrize(
    "data", [b"\xff\xd8\xff" + bytes(90) + b"\xff\xd9", b"\x89PNG" + bytes(90) + b"IEND"]
)
def test_an_image_with_an_end_may_be_damaged_before(data):
    with pytest.raises(ImageError):
        decode(data)


def test_plain_sampler_shows_every_image_once():
    sampler = PlainSampler(np.zeros(103, np.int64), 10, seed=4)
    epochs = [np.stack(list(sampler.epoch(number))) for number in (0, 1)]
    assert len(sampler) == len(epochs[0]) == 10
    for epoch in epochs:
        assert len(np.unique(epoch)) == 100
    assert not np.array_equal(epochs[0], epochs[1])
    left_out = [set(range(103)) - set(epoch.ravel().tolist()) for epoch in epochs]
    assert left_out[0] != left_out[1]


@pytest.mark.parametrize("kind", [PlainSampler, IdentitySampler])
def test_a_process_is_alone_unless_told_otherwise(kind):
    labels = np.repeat(np.arange(30), 4)
    arguments = (labels, 10, 4) if kind is PlainSampler else (labels, 5, 2, 4)
    alone, told = kind(*arguments), kind(*arguments, rank=0, world_size=1)
    assert len(alone) == len(told)
    for one, other in zip(alone.epoch(3), told.epoch(3), strict=True):
        assert np.array_equal(one, other)


def test_plain_sampler_fills_a_batch_from_a_small_set():
    (batch,) = PlainSampler(np.zeros(3, np.int64), 8, seed=0).epoch(0)
    assert sorted(np.bincount(batch).tolist()) == [2, 3, 3]


def test_identity_sampler_takes_people_times_images():
    labels = np.repeat(np.arange(40), [1, 2, 7, 30] * 10)
    sampler = IdentitySampler(labels, people=6, images=5, seed=1)
    batches = list(sampler.epoch(0))
    # 390 images of people with two or more, 30 to a batch.
    assert len(batches) == len(sampler) == 13
    shown = set()
    for batch in batches:
        assert len(np.unique(batch)) == len(batch)
        people = [label for label, _ in itertools.groupby(labels[batch].tolist())]
        assert len(people) == len(set(people)) == 6
        for person in people:
            available = (labels == person).sum()
            assert available > 1
            assert (labels[batch] == person).sum() == min(available, 5)
        shown |= set(people)
    assert len(shown) == 30
    assert [len(b) for b in batches[:5]] != [len(batches[0])] * 5


def test_identity_sampler_shows_every_person_before_any_comes_again():
    labels = np.repeat(np.arange(12), 50)
    batches = list(IdentitySampler(labels, people=4, images=10, seed=0).epoch(3))
    assert len(batches) == 15
    for turn in range(5):
        people = np.unique(labels[np.concatenate(batches[3 * turn : 3 * turn + 3])])
        assert len(people) == 12


def test_identity_sampler_draws_a_persons_images_evenly():
    labels = np.repeat([0, 1], 10)
    sampler = IdentitySampler(labels, people=2, images=4, seed=0)
    batches = [batch for epoch in range(500) for batch in sampler.epoch(epoch)]
    times = np.bincount(np.concatenate(batches), minlength=20)
    # 1,000 batches, 4 of 10 images each: mean 400, standard deviation 15.5
    assert times.sum() == 8 * len(batches) == 8000
    assert (abs(times - 400) < 5 * 15.5).all()


def test_identity_sampler_needs_two_people_with_two_images():
    with pytest.raises(UsageError, match="two people"):
        IdentitySampler(np.array([0, 0, 0, 1, 2]))
    with pytest.raises(UsageError, match="1 person with"):
        IdentitySampler(np.array([0, 0, 1, 1]), people=1)
    (batch,) = IdentitySampler(np.array([0, 0, 1, 1])).epoch(0)
    assert sorted(batch.tolist()) == [0, 1, 2, 3]


def samplers(**options):
    labels = np.repeat(np.arange(25), 8)
    yield PlainSampler(labels, 9, seed=2, **options)
    yield IdentitySampler(labels, people=4, images=3, seed=2, **options)


def lists(batches):
    return [batch.tolist() for batch in batches]


def test_the_same_seed_gives_the_same_batches():
    for one, other in zip(samplers(), samplers(), strict=True):
        assert lists(one.epoch(5)) == lists(other.epoch(5))
        assert lists(one.epoch(5)) != lists(one.epoch(6))
        other.seed = 3
        assert lists(one.epoch(5)) != lists(other.epoch(5))


def test_processes_share_the_batches_of_one():
    for alone, *shares in zip(
        samplers(), *(samplers(rank=rank, world_size=3) for rank in range(3)), strict=True
    ):
        parts = [lists(share.epoch(1)) for share in shares]
        assert {len(part) for part in parts} == {len(alone) // 3} == {len(shares[0])}
        woven = [batch for turn in zip(*parts, strict=True) for batch in turn]
        assert woven == lists(alone.epoch(1))[: len(woven)]


def test_a_stream_goes_on_from_any_batch():
    for sampler in samplers(rank=1, world_size=2):
        many = list(itertools.islice(sampler.stream(), 3 * len(sampler) + 2))
        assert [epoch for epoch, _ in many] == sorted(epoch for epoch, _ in many)
        assert many[-1][0] == 3
        for start in (1, len(sampler), 2 * len(sampler) + 1):
            rest = list(itertools.islice(sampler.stream(start), len(many) - start))
            assert [(e, b.tolist()) for e, b in rest] == [(e, b.tolist()) for e, b in many[start:]]


def test_loader_yields_the_images_and_labels_asked_for(folder):
    dataset = TrainingSet(folder)
    wanted = [np.array([4, 0, 7]), np.array([3, 3])]
    batches, damaged = load(dataset, [(0, indices) for indices in wanted], flip=False)
    assert not damaged
    for batch, indices in zip(batches, wanted, strict=True):
        assert batch.pixels.dtype == torch.uint8
        assert batch.labels.dtype == torch.int64
        assert batch.labels.tolist() == dataset.labels[indices].tolist()
        assert np.array_equal(batch.pixels, [picture(index) for index in indices])
        assert batch.skipped == 0


def test_flips_follow_seed_epoch_and_index_alone(folder):
    dataset = TrainingSet(folder)
    sampler = PlainSampler(dataset.labels, 4, seed=0)
    batches = list(itertools.islice(sampler.stream(), 60))
    one, _ = load(dataset, batches, workers=1, seed=5)
    many, _ = load(dataset, batches, workers=4, seed=5)
    seen = set()
    for (epoch, indices), first, second in zip(batches, one, many, strict=True):
        assert torch.equal(first.pixels, second.pixels)
        flipped = flips(5, epoch, indices)
        for index, pixels, flip in zip(indices, first.pixels.numpy(), flipped, strict=True):
            assert np.array_equal(pixels, picture(index)[:, ::-1] if flip else picture(index))
            seen.add((int(index), bool(flip)))
    assert len(seen) == 16


def splitmix64(state):
    """As Sebastiano Vigna published it, in whole numbers."""
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
    return state ^ state >> 31


def test_flips_are_bits_of_splitmix64():
    # The first three of its generator with the seed 1234567.
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    gamma = 0x9E3779B97F4A7C15
    assert [splitmix64((1234567 + n * gamma) % 2**64) for n in (1, 2, 3)] == published
    key = int(np.random.SeedSequence((5, 2)).generate_state(1, np.uint64)[0])
    expected = [splitmix64((key + n * gamma) % 2**64) >> 63 == 1 for n in range(300)]
    assert flips(5, 2, np.arange(300)).tolist() == expected


def test_flips_are_fair_coins():
    indices = np.arange(20_000)
    coins = np.stack([flips(seed, epoch, indices) for seed in (0, 1) for epoch in (0, 1)])
    # standard deviation of a mean of 20,000: 0.0035
    assert (abs(coins.mean(1) - 0.5) < 5 * 0.0035).all()
    for one, other in itertools.combinations(coins, 2):
        assert abs((one == other).mean() - 0.5) < 5 * 0.0035
    assert abs((coins[:, 1:] == coins[:, :-1]).mean() - 0.5) < 5 * 0.0035


def test_a_damaged_image_is_replaced_by_the_next_of_its_person(folder):
    (folder / "Eve" / "7.png").write_bytes(b"\x89PNG nothing")
    (folder / "Bob" / "3.png").unlink()
    (folder / "Bob" / "3.png").write_bytes(b"")
    dataset = TrainingSet(folder)
    asked = [(0, np.array([7, 6])), (0, np.array([3, 7])), (0, np.array([1, 2]))]
    batches, damaged = load(dataset, asked, flip=False)
    assert [batch.skipped for batch in batches] == [1, 2, 0]
    assert sorted(damaged) == ["Bob/3.png", "Eve/7.png"]
    assert damaged["Bob/3.png"] == "the file is empty"
    # 7 is Eve's last, so her first stands in; Bob has no other image, so the next person's does.
    found = torch.cat([batch.pixels for batch in batches[:2]]).numpy()
    for pixels, number in zip(found, [4, 6, 4, 4], strict=True):
        assert np.array_equal(pixels, picture(number))
    assert batches[1].labels.tolist() == [2, 2]


def test_damaged_records_are_replaced(tmp_path):
    path = tmp_path / "train.rec"
    write_records(path)
    data = bytearray(path.read_bytes())
    place = data.index(encoded(picture(4)))
    data[place : place + 40] = bytes(40)
    path.write_bytes(data)
    dataset = TrainingSet(path)
    (batch,), damaged = load(dataset, [(0, np.arange(6))], flip=False)
    assert batch.skipped == 1
    assert list(damaged) == ["record 4"]
    assert np.array_equal(batch.pixels, [picture(key) for key in (1, 2, 3, 5, 5, 6)])


def test_no_image_left_is_an_error(folder):
    dataset = TrainingSet(folder)
    for path in folder.rglob("*.png"):
        path.unlink()
    with pytest.raises(FormatError, match="no image"):
        load(dataset, [(0, np.array([1, 2]))])


def test_a_loader_may_be_left_early(folder):
    dataset = TrainingSet(folder)
    sampler = PlainSampler(dataset.labels, 2, seed=0)
    with Loader(dataset, sampler.stream(), 2, 0) as loader:
        assert len(next(loader).labels) == 2
