"""The scripts are checked as the package is."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_python_script_is_linted_and_typed() -> None:
    settings = (ROOT / "pyproject.toml").read_text()
    found = 0
    for path in (ROOT / "scripts").iterdir():
        if "python" in path.read_text().partition("\n")[0]:
            found += 1
            # ruff's extend-include and mypy's files, neither of which finds files without a suffix.
            assert settings.count(f'"scripts/{path.name}"') == 2, path.name
    assert found > 5
