"""Settings of embeddings, from what is asked for to what is done."""

import pytest
import torch

from facetool.embedding.settings import RepresentSettings
from facetool.errors import UsageError
from facetool.networks.registry import create


@pytest.mark.parametrize("native", [True, False])
def test_auto_becomes_what_it_stands_for(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facetool.embedding.embedder._has_bfloat16", lambda device: native)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    network = create("dlib-resnet").eval()
    made = RepresentSettings(dtype="auto", flip="sum").resolve(network)
    expected = "bfloat16" if native else "float32"
    assert made == RepresentSettings(device=torch.device("cpu"), dtype=expected, flip="sum")
    assert made.resolve(network) == made
    assert made.description(network).dtype == expected


@pytest.mark.parametrize("wrong", [{"device": "gpu"}, {"device": "cuda:all"}, {"dtype": "half"}])
def test_others_are_refused(wrong: dict[str, str]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(UsageError, match=f"^{name}='{value}'"):
        RepresentSettings(**wrong).resolve(create("dlib-resnet").eval())  # type: ignore[arg-type]
