"""What users may ask for as a device, and what they get."""

import pytest
import torch

from facetool.errors import UsageError
from facetool.networks.devices import device_name, resolve_device


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cuda:all", "meta", "cuda:x"])
def test_devices_that_are_not_there(name: str) -> None:
    with pytest.raises(UsageError, match="device="):
        resolve_device(name)


def test_a_device_of_pytorch_is_checked_as_its_name_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert resolve_device(torch.device("cuda")) == torch.device("cuda")
    for device in ("cuda:1", torch.device("cuda:1")):
        with pytest.raises(UsageError, match="this machine offers 1 CUDA device; try device='cpu'"):
            resolve_device(device)
    with pytest.raises(UsageError, match="give auto, cpu, cuda, cuda:N or mps"):
        resolve_device(torch.device("meta"))


def test_an_apple_gpu_is_for_embedding_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError, match="no Apple GPU; try device='cpu'"):
        resolve_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("mps") == torch.device("mps")
    for device in ("mps", torch.device("mps")):
        with pytest.raises(UsageError, match="give auto, cpu, cuda or cuda:N"):
            resolve_device(device, mps=False)


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, kind in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert resolve_device().type == resolve_device("auto").type == kind
    assert resolve_device("cpu").type == "cpu"


def test_the_cpu_has_no_other_name() -> None:
    assert device_name(torch.device("cpu")) == "cpu"
