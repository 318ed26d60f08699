"""Curves of earlier runs."""

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
