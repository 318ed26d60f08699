import numpy as np
import pytest

from facetool.plots.embedding_map import embedding_map


@pytest.mark.parametrize(("people", "legend"), [(20, 20), (21, 0)])
def test_people_have_names_as_long_as_colours_tell_them_apart(people: int, legend: int) -> None:
    labels = np.repeat(np.arange(people), 2)
    points = np.random.default_rng(0).normal(size=(len(labels), 2)).astype(np.float32)
    names = [f"P_${number}" for number in range(people)]
    figure = embedding_map(points, "t-SNE", labels, names)
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), points)
    colours = np.asarray(axes.collections[0].get_facecolor())
    assert (colours[0] == colours[1]).all() and (colours[0] != colours[2]).any()
    shown = [text.get_text() for one in figure.legends for text in one.get_texts()]
    assert shown == [rf"P \${number}" for number in range(legend)]
    assert axes.get_title() == f"t-SNE of {len(labels)} faces of {people} people"
