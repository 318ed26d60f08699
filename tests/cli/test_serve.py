"""What ``serve`` says before it serves."""

import sys

import pytest

from tests.cli.conftest import Run


def test_without_the_extra_one_line_says_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = run("serve")
    assert done.returncode == 2
    assert done.stderr == (
        "facetool: serve needs packages that are not installed (uvicorn); install them with: "
        "pip install 'facetool[serve]'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--host", "256.0.0.1"), "--host 256.0.0.1"),
        (("--upsample", "9"), "--upsample"),
        (("--detector", "mtcnn", "--min-score", "0.5"), "--min-score belongs to"),
        (("--max-pixels", "0.0000001"), "pixels"),
    ],
)
def test_wrong_usage_is_told(run: Run, arguments: tuple[str, ...], reason: str) -> None:
    pytest.importorskip("uvicorn", reason="the extra serve is not installed")
    done = run("serve", *arguments)
    assert done.returncode == 2 and reason in done.stderr
    assert "Traceback" not in done.stderr
