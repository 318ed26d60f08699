"""``embed-plot``: a represent folder as a map."""

from __future__ import annotations

from pathlib import Path

from facetool.classification.projection import project
from facetool.embedding.people import read_people
from facetool.errors import FacetoolError
from facetool.files.text import counted


def embed_plot(reps: Path, output: Path) -> int:
    """Draw a represent folder as a map (t-SNE) in which similar faces lie together.

    Returns:
        The number of images drawn.

    Raises:
        FacetoolError: there are too few images.
        UsageError: the plot's name does not fit, or nothing says whether embeddings of other
            lengths are compared at unit length.
        OutputError: the plot cannot be written.
    """
    from facetool.plots.embedding_map import embedding_map
    from facetool.plots.style import check_name, save_plot

    check_name(output)
    people = read_people(reps, unsorted=True)
    if len(people.images) < 4:
        images = counted(len(people.images), "image")
        raise FacetoolError(f"{reps} has {images}; a map needs four or more")
    vectors = people.prepared()
    how = "t-SNE" if vectors.shape[1] > 1 else "The one number"
    figure = embedding_map(project(vectors), how, people.labels, people.names)
    save_plot(figure, output, dpi=150)
    return len(people.images)
