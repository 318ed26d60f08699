import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facetool.errors import FacetoolError, FormatError, OutputError, UsageError
from facetool.evaluation.published_curves import read_curve
from facetool.evaluation.run_curves import read_run_curve
from facetool.pipeline.lfw_eval import lfw_eval

FILES = {
    "accuracies.txt",
    "result.json",
    "roc.pdf",
    "roc.png",
    *(f"l2-roc.fold-{k}.csv" for k in range(10)),
}


def make_folder(folder: Path, length: float = 1.0, without: tuple[str, ...] = ()) -> Path:
    """A represent folder of 200 people with two images each, and pairs of them.

    Fold K pairs the images of person 20 K + i, and person 20 K + i with 20 K + i + 1.
    """
    folder.mkdir()
    rng = np.random.default_rng(5)
    people = rng.normal(size=(200, 16))
    names, rows, lines = [], [], ["10\t20"]
    for person in range(200):
        for number in (1, 2):
            name = f"P{person:03d}_{number:04d}"
            vector = people[person] + rng.normal(size=16)
            if name not in without:
                names.append(f"crops/P{person:03d}/{name}.png")
                rows.append(length * vector / np.linalg.norm(vector))
    for fold in range(10):
        members = range(20 * fold, 20 * fold + 20)
        lines += [f"P{p:03d}\t1\t2" for p in members]
        lines += [f"P{p:03d}\t1\tP{20 * fold + (p + 1) % 20:03d}\t2" for p in members]
    np.save(folder / "reps.npy", np.array(rows, np.float32))
    (folder / "labels.csv").write_text("".join(f"{i},{name}\n" for i, name in enumerate(names)))
    (folder / "pairs.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def blank_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than everything else together."""
    monkeypatch.setattr("facetool.pipeline.lfw_eval.save_plot", lambda figure, path: path.touch())


@pytest.fixture
def reps(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "reps")


@pytest.mark.slow
def test_files(reps: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "deeper"
    result = lfw_eval(reps, reps / "pairs.txt", output=output, tag="mine").as_dict()
    assert {path.name for path in output.iterdir()} == FILES
    assert json.loads((output / "result.json").read_text()) == result
    assert result["tag"] == "mine" and result["protocol"] == "openface"
    assert result["pairs"]["scored"] == 400 and result["pairs"]["missing"] == 0

    lines = (output / "accuracies.txt").read_text().splitlines()
    assert lines[0] == "fold, threshold, accuracy" and lines[11] == "" and len(lines) == 13
    accuracy = result["accuracy"]
    assert lines[1] == f"0, {accuracy['thresholds'][0]:.2f}, {accuracy['folds'][0]:.2f}"
    assert lines[12] == f"avg, {accuracy['mean']:.4f} +/- {accuracy['std']:.4f}"


@pytest.mark.slow
@pytest.mark.usefixtures("blank_pictures")
def test_fold_tables(reps: Path) -> None:
    result = lfw_eval(reps, reps / "pairs.txt").as_dict()
    with (reps / "l2-roc.fold-3.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["threshold", "tp", "tn", "fp", "fn", "tpr", "fpr"]
    # One row per threshold until everything is accepted, which a row at 4.0 repeats.
    assert [float(row["threshold"]) for row in rows[:-1]] == [i / 100 for i in range(len(rows) - 1)]
    assert rows[-1]["threshold"] == "4.0"
    everything = [row["tpr"] == row["fpr"] == "1.0" for row in rows]
    assert everything.index(True) == len(rows) - 2
    for row in rows:
        tp, tn, fp, fn = (int(row[key]) for key in ("tp", "tn", "fp", "fn"))
        assert tp + fn == 20 and tn + fp == 20
        assert float(row["tpr"]) == tp / 20 and float(row["fpr"]) == fp / 20
    threshold, accuracy = (result["accuracy"][key][3] for key in ("thresholds", "folds"))
    chosen = next(row for row in rows if float(row["threshold"]) == threshold)
    assert (int(chosen["tp"]) + int(chosen["tn"])) / 40 == accuracy
    # They can be drawn over another evaluation.
    assert read_curve(reps / "l2-roc.fold-3.csv").tpr[-1] == 1
    lfw_eval(reps, reps / "pairs.txt", curves=[("fold 3", reps / "l2-roc.fold-3.csv")])


@pytest.mark.slow
@pytest.mark.usefixtures("blank_pictures")
@pytest.mark.parametrize("protocol", ["openface", "insightface", "facenet"])
def test_the_curve_of_another_run(reps: Path, tmp_path: Path, protocol: str) -> None:
    before = lfw_eval(reps, reps / "pairs.txt", protocol, output=tmp_path / "before")
    curve, expected = read_run_curve(tmp_path / "before"), before.outcome.curve
    assert expected is not None and curve.auc == pytest.approx(expected.auc, abs=1e-12)
    fpr = np.linspace(0, 1, 101)
    np.testing.assert_allclose(curve.at(fpr), expected.at(fpr), atol=1e-12)
    lfw_eval(reps, reps / "pairs.txt", output=tmp_path, curves=[("before", tmp_path / "before")])


@pytest.mark.slow
@pytest.mark.usefixtures("blank_pictures")
def test_what_is_no_run_is_no_curve(reps: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="not a folder as lfw-eval writes it"):
        lfw_eval(reps, reps / "pairs.txt", curves=[("none", tmp_path)])
    lfw_eval(reps, reps / "pairs.txt", output=tmp_path / "before")
    fold = tmp_path / "before" / "l2-roc.fold-4.csv"
    whole = fold.read_text()
    damages = (whole.replace("tpr", "x"), whole.replace(",1.0,", ",1.5,"), "\0" * 9)
    for damaged in (*damages, whole + "1" * 200_000):
        fold.write_text(damaged)
        with pytest.raises(FormatError, match=r"l2-roc\.fold-4\.csv"):
            read_run_curve(tmp_path / "before")


@pytest.mark.slow
@pytest.mark.usefixtures("blank_pictures")
def test_folds_of_an_earlier_run_do_not_stay(reps: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    lfw_eval(reps, reps / "pairs.txt", output=out)
    others = {"l2-roc.fold-12.csv": "mine", "l2-roc.fold-x.csv": "threshold,tp,tn,fp,fn,tpr,fpr"}
    for name, text in others.items():
        (out / name).write_text(text)
    lines = (reps / "pairs.txt").read_text().splitlines()[1:]
    (tmp_path / "three.txt").write_text("\n".join(["3\t20", *lines[: 3 * 40]]))
    second = lfw_eval(reps, tmp_path / "three.txt", output=out)
    there = {path.name for path in out.glob("l2-roc*")}
    assert there == {f"l2-roc.fold-{number}.csv" for number in range(3)} | set(others)
    assert second.outcome.curve is not None
    assert read_run_curve(out).auc == pytest.approx(second.outcome.curve.auc, abs=1e-12)


@pytest.mark.slow
def test_a_second_run_writes_the_same_files(reps: Path) -> None:
    lfw_eval(reps, reps / "pairs.txt")
    before = {name: (reps / name).read_bytes() for name in FILES}
    lfw_eval(reps, reps / "pairs.txt")
    assert before == {name: (reps / name).read_bytes() for name in FILES}


@pytest.mark.usefixtures("blank_pictures")
def test_missing_images_are_left_out_and_named(tmp_path: Path) -> None:
    # P005's first image is in two pairs, P025's second in two, all of fold 2 is gone.
    fold2 = tuple(f"P{p:03d}_{n:04d}" for p in range(40, 60) for n in (1, 2))
    reps = make_folder(tmp_path / "reps", without=("P005_0001", "P025_0002", *fold2))
    result = lfw_eval(reps, reps / "pairs.txt").as_dict()
    assert result["pairs"]["scored"] == 400 - 2 - 2 - 40
    assert result["pairs"]["missing"] == 44
    assert result["pairs"]["missing_images"] == sorted(("P005_0001", "P025_0002", *fold2))
    assert result["accuracy"]["folds"][2] is None
    assert result["accuracy"]["mean"] == pytest.approx(
        np.mean([value for value in result["accuracy"]["folds"] if value is not None])
    )
    assert (reps / "accuracies.txt").read_text().splitlines()[3] == "2, nan, nan"
    assert len((reps / "l2-roc.fold-2.csv").read_text().splitlines()) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("blank_pictures")
def test_provenance_and_missed_faces(reps: Path) -> None:
    missed = ["crops/P000/P000_0001.png", "crops/P001/P001_0002.png", "crops/X/X_0001.png"]
    weights = {"name": "nn4.small2.v1", "sha256": "00"}
    document = {"network": "nn4.small2", "weights": weights, "missed_faces": missed}
    (reps / "represent.json").write_text(json.dumps(document))
    result = lfw_eval(reps, reps / "pairs.txt").as_dict()
    assert result["pairs"]["missed_faces"] == 2
    assert result["provenance"] == {"network": "nn4.small2", "weights": weights}
    assert result["tag"] == "nn4.small2.v1"
    (reps / "represent.json").unlink()
    assert lfw_eval(reps, reps / "pairs.txt").tag == "reps"


@pytest.mark.slow
@pytest.mark.usefixtures("blank_pictures")
def test_the_largest_of_several_faces_is_warned_about(reps: Path) -> None:
    def evaluate(count: int) -> dict[str, Any]:
        several = [f"crops/P{person:03d}/P{person:03d}_0001.png" for person in range(count)]
        document = {"network": "nn4.small2", "largest_of_several": [*several, "crops/X/X_0001.png"]}
        (reps / "represent.json").write_text(json.dumps(document))
        return lfw_eval(reps, reps / "pairs.txt", "insightface").as_dict()

    result = evaluate(5)
    assert result["pairs"]["largest_of_several"] == 5
    (warning,) = result["warnings"]
    assert warning.startswith("5 of 400 images")
    assert "let align select 'center'" in warning
    assert result["provenance"] == {"network": "nn4.small2"}
    assert evaluate(4)["warnings"] == []


@pytest.mark.slow
@pytest.mark.usefixtures("blank_pictures")
def test_long_embeddings_are_warned_about(tmp_path: Path) -> None:
    reps = make_folder(tmp_path / "reps", length=20)
    for protocol in ("openface", "facenet"):
        (warning,) = lfw_eval(reps, reps / "pairs.txt", protocol).warnings
        assert f"the {protocol} protocol does not fit" in warning
        assert "protocol insightface" in warning
    assert lfw_eval(reps, reps / "pairs.txt", "insightface").warnings == []
    result = lfw_eval(
        reps, reps / "pairs.txt", "facenet", metric="arccos", subtract_mean=True
    ).as_dict()
    assert result["warnings"] == [] and result["metric"] == "arccos" and result["subtract_mean"]


def test_what_cannot_be(reps: Path, tmp_path: Path) -> None:
    pairs = reps / "pairs.txt"
    with pytest.raises(UsageError, match="belong to the facenet protocol"):
        lfw_eval(reps, pairs, "openface", metric="arccos")
    with pytest.raises(UsageError, match="belong to the facenet protocol"):
        lfw_eval(reps, pairs, "insightface", subtract_mean=True)
    with pytest.raises(UsageError, match="protocol='vgg': give one of openface, "):
        lfw_eval(reps, pairs, "vgg")
    other = tmp_path / "other.txt"
    other.write_text(pairs.read_text().replace("P", "Q"))
    with pytest.raises(FacetoolError, match=r"none of its pairs can be scored: .* 400 images"):
        lfw_eval(reps, other)
    other.write_text("10\t20\nP000\t1\n")
    with pytest.raises(FormatError, match=r"other\.txt line 2"):
        lfw_eval(reps, other)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        lfw_eval(reps, pairs, output=tmp_path / "file")


@pytest.mark.slow
def test_openfaces_own_output(shared: Path, tmp_path: Path) -> None:
    result = lfw_eval(
        shared / "openface-reps",
        shared / "lfw-a" / "pairs.txt",
        output=tmp_path,
        curves=[("Human", shared / "roc-curves" / "kumar_human_crop.txt")],
    ).as_dict()
    assert result["pairs"]["scored"] == 244 and result["pairs"]["missing"] == 5756
    assert result["pairs"]["genuine"] == 235 and result["pairs"]["impostors"] == 9
    assert result["warnings"] == []
    assert {path.name for path in tmp_path.iterdir()} == FILES
