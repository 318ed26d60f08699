"""Embeddings that are not of unit length and whose folder does not say how they are compared."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facetool.classification.classifier_file import load_classifier
from facetool.embedding.people import read_people
from facetool.errors import UsageError
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.registry import create
from facetool.pipeline.classify_evaluate import evaluate_classifier
from facetool.pipeline.classify_train import ClassifierSettings, train_classifier
from facetool.pipeline.cluster import cluster
from facetool.pipeline.duplicates import find_duplicates
from facetool.pipeline.embed_plot import embed_plot
from facetool.pipeline.identify import identify
from facetool.pipeline.lfw_eval import lfw_eval
from facetool.pipeline.outliers import outliers

PEOPLE = [f"P{person}" for person in range(9)]


def encodings() -> NDArray[np.float64]:
    """As face_recognition's: lengths of 1.3 to 1.5, people 0.6 and more apart, float64."""
    rng = np.random.default_rng(0)
    common = np.sqrt(1.8) * np.eye(128)[0]
    centres = [common + 0.4 * person / np.linalg.norm(person) for person in _directions(rng, 9)]
    rows = [centre + 0.1 * _directions(rng, 1)[0] for centre in centres for _ in range(6)]
    return np.array(rows)


def _directions(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    rows = rng.normal(size=(count, 128))
    rows[:, 0] = 0
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def write(folder: Path, rows: NDArray[np.floating], said: object = None) -> Path:
    folder.mkdir(exist_ok=True)
    np.save(folder / "reps.npy", rows)
    names = [f"{PEOPLE[row // 6]}/{row % 6}.png" for row in range(len(rows))]
    (folder / "labels.csv").write_text("".join(f"{row},{name}\n" for row, name in enumerate(names)))
    if said is not None:
        (folder / "represent.json").write_text(json.dumps(said))
    return folder


def _pairs(folder: Path) -> Path:
    same = [f"{person}\t1\t2" for person in PEOPLE]
    other = [
        f"{one}\t1\t{two}\t1" for one, two in zip(PEOPLE, PEOPLE[1:] + PEOPLE[:1], strict=True)
    ]
    pairs = folder / "pairs.txt"
    pairs.write_text("\n".join(["1\t9", *same, *other]) + "\n")
    return pairs


def _train(reps: Path, made: Path) -> Path:
    train_classifier(reps, made / "classifier", ClassifierSettings(kind="nearest-mean"))
    return made / "classifier"


def _strangers(reps: Path, made: Path) -> None:
    people = write(made / "people", unit(encodings()), {"unit_length": False})
    train_classifier(people, made / "c", ClassifierSettings(), strangers=reps)


def _file(reps: Path, made: Path) -> None:
    known = write(made / "known", encodings(), {"unit_length": False})
    evaluate_classifier(reps, classifier=_train(known, made), output=made)


USERS: dict[str, Callable[[Path, Path], object]] = {
    "cluster": lambda reps, _: cluster(reps, 0.36),
    "outliers": lambda reps, _: outliers(reps, 0.36),
    "duplicates": lambda reps, _: find_duplicates(reps, 1e-6),
    "embed-plot": lambda reps, made: embed_plot(reps, made / "map.png"),
    "classify train": _train,
    "classify evaluate": lambda reps, made: evaluate_classifier(reps, output=made),
    "classify evaluate FILE": _file,
}


@pytest.mark.parametrize("user", [*USERS, "strangers"])
@pytest.mark.parametrize("said", [None, {}, {"network": "mine"}, {"flip": "none"}])
def test_who_compares_lengths_asks_how(user: str, said: object, tmp_path: Path) -> None:
    reps = write(tmp_path / "reps", encodings(), said)
    use = USERS.get(user, _strangers)
    with pytest.raises(UsageError) as raised:
        use(reps, tmp_path)
    assert str(raised.value).startswith(f"{reps}: its embeddings have lengths of 1.3")
    assert f"{reps / 'represent.json'} " in str(raised.value)
    for stated in ('{"unit_length": false}', '{"unit_length": true}'):
        assert stated in str(raised.value)


@pytest.mark.parametrize("user", USERS)
def test_what_the_message_says_to_write_is_enough(user: str, tmp_path: Path) -> None:
    USERS[user](write(tmp_path / "reps", encodings(), {"unit_length": False}), tmp_path)


def test_stated_lengths_decide(tmp_path: Path) -> None:
    reps = write(tmp_path / "reps", encodings(), {"unit_length": False})
    assert np.bincount(cluster(reps, 0.2).groups).tolist() == [6] * 9
    np.testing.assert_allclose(read_people(reps).prepared(), encodings(), atol=1e-6)
    write(reps, encodings(), {"unit_length": True})
    assert int(cluster(reps, 0.2).groups.max()) + 1 < 9
    np.testing.assert_allclose(read_people(reps).prepared(), unit(encodings()), atol=1e-6)


def test_a_network_that_the_folder_names_decides_where_it_says_no_more(tmp_path: Path) -> None:
    reps = write(tmp_path / "reps", encodings(), {"network": "dlib-resnet"})
    assert not read_people(reps).provenance.unit_length
    write(reps, encodings(), {"network": "lresnet100e-ir"})
    assert read_people(reps).provenance.unit_length


ROUNDED: dict[str, NDArray[np.floating]] = {
    "float32": unit(encodings()).astype(np.float32),
    "float16": unit(encodings()).astype(np.float16),
    "four decimals": np.round(unit(encodings()), 4),
    "some of zero": unit(encodings()) * (np.arange(54) % 6 > 0)[:, None],
    "all of zero": np.zeros((54, 128)),
}


@pytest.mark.parametrize("how", ROUNDED)
def test_unit_length_needs_no_word(how: str, tmp_path: Path) -> None:
    assert read_people(write(tmp_path / "reps", ROUNDED[how])).provenance.unit_length


def test_one_length_that_differs_is_noticed(tmp_path: Path) -> None:
    rows = unit(encodings())
    rows[7] *= 1.002
    with pytest.raises(UsageError, match=r"lengths of 1 to 1\.002, "):
        read_people(write(tmp_path / "reps", rows))


def test_who_needs_no_lengths_does_not_ask(tmp_path: Path) -> None:
    """Cosines do not depend on them, and lfw-eval warns where its protocol does not fit."""
    reps = write(tmp_path / "reps", encodings())
    assert set(identify(reps, reps).rank1.values()) == {1}
    assert lfw_eval(reps, _lfw_pairs(reps, tmp_path), output=tmp_path / "out").pairs.scored == 18


def _lfw_pairs(reps: Path, folder: Path) -> Path:
    names = [f"{person}/{person}_{image + 1:04d}.png" for person in PEOPLE for image in range(6)]
    (reps / "labels.csv").write_text("".join(f"1,{name}\n" for name in names))
    return _pairs(folder)


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    return create("dlib-resnet")


@pytest.mark.parametrize("said", [None, {"unit_length": False}])
def test_the_network_that_is_given_says_it(
    said: object, network: EmbeddingNetwork, tmp_path: Path
) -> None:
    reps = write(tmp_path / "reps", encodings(), said)
    settings = ClassifierSettings(kind="nearest-mean")
    made = train_classifier(reps, tmp_path / "c", settings, network=network).classifier
    assert not made.provenance.unit_length and made.provenance.network == "dlib-resnet"
    write(reps, encodings(), {"unit_length": True})
    with pytest.raises(UsageError, match="otherwise than model says: unit_length True and False"):
        train_classifier(reps, tmp_path / "c", settings, network=network)


@pytest.mark.parametrize("unit_length", [True, False])
def test_a_classifier_of_no_network_takes_embeddings_compared_as_its_own(
    unit_length: bool, tmp_path: Path
) -> None:
    made = _train(write(tmp_path / "a", encodings(), {"unit_length": unit_length}), tmp_path)
    assert load_classifier(made).provenance.unit_length == unit_length
    evaluate_classifier(tmp_path / "a", classifier=made, output=tmp_path)
    other = write(tmp_path / "b", encodings(), {"unit_length": not unit_length})
    with pytest.raises(UsageError, match="state one unit_length in both"):
        evaluate_classifier(other, classifier=made, output=tmp_path)
