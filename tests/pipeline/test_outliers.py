import json

import numpy as np
import pytest

from facetool.errors import FacetoolError, UsageError
from facetool.pipeline.outliers import outliers


def test_outliers(three_people):
    result = outliers(three_people)
    found, compared, limit = result.outliers, result.compared, result.threshold
    assert limit == 0.36 and compared == 12
    assert found[0].image == "B/3.png" and found[0].person == "B" and found[0].nearest == "C"
    assert found[0].squared_l2 == pytest.approx(2, abs=0.4)
    # B's other images are a third outlier each: 2/3 > 0.36.
    assert [one.image for one in found[1:]] and {one.person for one in found} == {"B"}
    assert outliers(three_people, 1.5).outliers == found[:1]


def test_what_cannot_be(three_people):
    (three_people / "represent.json").write_text(json.dumps({"network": "x", "unit_length": True}))
    with pytest.raises(UsageError, match="give one with threshold"):
        outliers(three_people)
    np.save(three_people / "reps.npy", np.eye(3, dtype=np.float32))
    (three_people / "labels.csv").write_text("1,A/1.png\n2,B/1.png\n3,C/1.png\n")
    with pytest.raises(FacetoolError, match="nobody has two images"):
        outliers(three_people, 0.5)
