"""What ``align.json`` says of the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from facetool.alignment.recipes import DLIB_CHIP
from facetool.cropping.settings import AlignSettings


def test_a_fallback_of_the_same_name_elsewhere_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptions = []
    for folder, given in (("a", "stand-ins"), ("b", "stand-ins"), ("b", "../a/stand-ins")):
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        settings = AlignSettings(crop=DLIB_CHIP, fallback=Path(given))
        descriptions.append(settings.description())
    first, other, again = descriptions
    assert first.same_policies(again) and not first.same_policies(other)
    assert first.fallback == str(tmp_path / "a/stand-ins")
