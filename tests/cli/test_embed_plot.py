"""``embed-plot`` on the command line."""

from pathlib import Path

from tests.cli.conftest import Run


def test_the_map_lies_beside_the_embeddings(run: Run, eight_people: Path) -> None:
    done = run("embed-plot", eight_people)
    assert done.returncode == 0, done.stderr
    assert f"32 faces drawn: {eight_people / 'tsne.png'}" in done.stderr
    assert (eight_people / "tsne.png").read_bytes()[:4] == b"\x89PNG"
