from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import auc

from facetool.errors import FormatError
from facetool.evaluation.published_curves import read_curve

DET = '"","Algorithm","X","N","Y","sd"\n"1","F",0.1,10,0.4,0.01\n"2","F",1,10,0.05,0.01\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "curve.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "1.0 1.0\n0.8 0.3\n0.6 0.1\n0.0 0.0\n",  # LFW's order, falling
        "0.0 0.0\n0.6 0.1\n0.8 0.3\n1.0 1.0\n",  # rising
        "0.0\t0.0\n0.1\t0.6\n\n0.3\t0.8\n1.0\t1.0\n",  # false positives first
        "0,0\n0.1,0.6\n0.3,0.8\n1,1\n",
        "fpr,tpr\n0,0\n0.1,0.6\n0.3,0.8\n1,1\n",
        "threshold,FNR,FAR\n0,1,0\n1,0.4,0.1\n2,0.2,0.3\n3,0,1\n",
    ],
)
def test_one_curve_in_many_forms(tmp_path: Path, text: str) -> None:
    curve = read_curve(write(tmp_path, text))
    np.testing.assert_allclose(curve.fpr, [0, 0.1, 0.3, 1])
    np.testing.assert_allclose(curve.tpr, [0, 0.6, 0.8, 1])


def test_openbrs_det_table(tmp_path: Path) -> None:
    curve = read_curve(write(tmp_path, DET))
    np.testing.assert_allclose(curve.fpr, [0.1, 1])
    np.testing.assert_allclose(curve.tpr, [0.6, 0.95])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("0 0\n0.5\n1 1\n", "line 2: expected rates"),
        ("0 0\n0.5 x\n1 1\n", "line 2: expected rates"),
        ("0 0\n0.5 1.5\n", "line 2: expected rates"),
        ("0 0\n0.5 nan\n", "line 2: expected rates"),
        ("0 0\n-0.5 0.5\n", "line 2: expected rates"),
        ("0 0 0\n", "line 1: expected two columns"),
        ("a,b,c\n1,2,3\n", "line 1: expected two columns"),
        ("fpr,tpr\n", "no points"),
        (DET.replace("0.05", "abc"), "line 3: expected rates"),
    ],
)
def test_damage_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_curve(write(tmp_path, text))


@pytest.mark.parametrize(
    "name",
    [
        "kumar_human_crop.txt",
        "BaiduIDLFinal.TPFP",
        "deepface_ensemble.txt",
        "eigenfaces-original-roc.txt",
    ],
)
def test_published_columns(shared: Path, name: str) -> None:
    """LFW's files: true positives first; the last rate holds up to 1, as OpenFace has it."""
    tpr, fpr = np.loadtxt(shared / "roc-curves" / name).T
    curve = read_curve(shared / "roc-curves" / name)
    assert set(zip(curve.fpr, curve.tpr, strict=True)) == set(zip(fpr, tpr, strict=True))
    area = auc(np.sort(fpr), np.sort(tpr)) + (1 - fpr.max()) * tpr.max()
    assert curve.auc == pytest.approx(area, abs=1e-12)


def test_published_det_table(shared: Path) -> None:
    path = shared / "roc-curves" / "openbr.v1.1.0.DET.csv"
    far, frr = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(2, 4)).T
    curve = read_curve(path)
    np.testing.assert_array_equal(curve.fpr, far)
    np.testing.assert_array_equal(curve.tpr, 1 - frr)
    assert curve.auc == pytest.approx(auc(far, 1 - frr), abs=1e-12)
    assert curve.auc == pytest.approx(0.83, abs=0.005)
