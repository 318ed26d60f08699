"""Curves of earlier runs."""

import json
from pathlib import Path

import pytest

from facetool.errors import FormatError
from facetool.evaluation.run_curves import read_run_curve


@pytest.mark.parametrize("there", [(), ("result.json",), ("l2-roc.fold-1.csv",)])
def test_a_folder_without_results_or_without_curves_is_none_of_lfw_eval(
    there: tuple[str, ...], tmp_path: Path
) -> None:
    for name in there:
        (tmp_path / name).write_text("{}")
    missing = "l2-roc.fold-K.csv" if there == ("result.json",) else "result.json"
    with pytest.raises(FormatError, match=f"not a folder as lfw-eval writes it.* no {missing}"):
        read_run_curve(tmp_path)


def _write_run(folder: Path, result: dict[str, object], tpr: list[float]) -> None:
    """Folds of which each has one threshold that accepts part of the genuine pairs."""
    (folder / "result.json").write_text(json.dumps(result))
    for number, rate in enumerate(tpr):
        rows = ["threshold,tp,tn,fp,fn,tpr,fpr", "0.0,0,9,0,9,0.0,0.0", f"1.0,9,9,0,9,{rate},0.0"]
        path = folder / f"l2-roc.fold-{number}.csv"
        path.write_text("\n".join([*rows, "4.0,9,0,9,0,1.0,1.0"]))


@pytest.mark.parametrize("protocol", ["openface", "insightface"])
def test_only_the_folds_of_the_result_count(protocol: str, tmp_path: Path) -> None:
    folds = {"accuracy": {"folds": [0.5, None, 0.5]}}
    _write_run(tmp_path, {"protocol": protocol, **folds}, [0.5] * 3 + [1.0] * 7)
    assert read_run_curve(tmp_path).at([0.0]) == [0.5]
    _write_run(tmp_path, {"protocol": protocol}, [])  # of a version that did not say
    assert read_run_curve(tmp_path).at([0.0]) == [0.85]


def test_a_fold_of_the_result_that_is_missing_is_named(tmp_path: Path) -> None:
    _write_run(tmp_path, {"accuracy": {"folds": [0.5] * 3}}, [0.5] * 2)
    with pytest.raises(FormatError, match=r"l2-roc\.fold-2\.csv"):
        read_run_curve(tmp_path)
