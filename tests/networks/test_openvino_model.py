"""A model of OpenVINO's, with the engine replaced: how its calls follow each other."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from facetool.networks import openvino_model
from facetool.networks.openvino_model import OpenVinoModel


class Request:
    """Counts how many are running at once."""

    running = 0
    most = 0

    def infer(self, inputs: Any, **sharing: bool) -> None:
        Request.running += 1
        Request.most = max(Request.most, Request.running)
        time.sleep(0.05)
        Request.running -= 1

    def get_input_tensor(self) -> Any:
        return SimpleNamespace(data=np.zeros((1, 8, 8, 3), np.float32))

    def get_output_tensor(self, output: int) -> Any:
        return SimpleNamespace(data=np.zeros((1, 4), np.float32))


def call_twice_at_once(model: OpenVinoModel) -> int:
    Request.most = 0
    inputs = torch.zeros(1, 3, 8, 8)
    threads = [threading.Thread(target=model, args=(inputs,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return Request.most


def test_the_first_call_of_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    compiled = SimpleNamespace(create_infer_request=Request)
    monkeypatch.setattr(OpenVinoModel, "_compile", lambda model, size: compiled)
    monkeypatch.setattr(openvino_model, "_has_been_called", threading.Event())
    model = OpenVinoModel(None, None, {})
    assert call_twice_at_once(model) == 1
    assert call_twice_at_once(model) == 2
