import pickle

import pytest
import torch

from facetool.errors import FormatError, OutputError
from facetool.training.checkpoint import (
    load_checkpoint,
    random_state,
    save_checkpoint,
    set_random_state,
)

CPU = torch.device("cpu")
STATE = {
    "config": {"loss": "arcface"},
    "step": 7,
    "network": {"weight": torch.arange(3.0)},
    "loss": {},
    "optimizer": {"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": []},
    "scaler": {},
    "random": [random_state(CPU)],
    "progress": {"best": 0.5},
}


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    save_checkpoint(tmp_path / "c.pt", STATE)
    found = load_checkpoint(tmp_path / "c.pt")
    assert found["step"] == 7 and found["progress"] == {"best": 0.5}
    assert torch.equal(found["network"]["weight"], STATE["network"]["weight"])
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


def test_random_numbers_go_on_from_a_saved_state():
    state = random_state(CPU)
    drawn = torch.rand(5)
    set_random_state(state, CPU)
    assert torch.equal(torch.rand(5), drawn)


def test_a_failed_write_leaves_the_earlier_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "c.pt"
    save_checkpoint(path, STATE)
    before = path.read_bytes()

    def fail(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OutputError, match="No space left"):
        save_checkpoint(path, STATE)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["c.pt"]


class _Evil:
    def __reduce__(self):
        return print, ("run",)


def test_a_checkpoint_cannot_run_code(tmp_path, capsys):
    torch.save({"facetool": 1, **STATE, "progress": _Evil()}, tmp_path / "evil.pt")
    with pytest.raises(FormatError, match="damaged or no checkpoint"):
        load_checkpoint(tmp_path / "evil.pt")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 damaged", pickle.dumps([1, 2])])
def test_other_files_are_named_as_such(tmp_path, content):
    path = tmp_path / "other.pt"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"other\.pt"):
        load_checkpoint(path)


def test_a_cut_checkpoint_is_named_as_such(tmp_path):
    path = tmp_path / "c.pt"
    save_checkpoint(path, STATE)
    data = path.read_bytes()
    for length in range(0, len(data), 97):
        path.write_bytes(data[:length])
        with pytest.raises(FormatError, match=r"c\.pt"):
            load_checkpoint(path)


def test_a_missing_part_is_named(tmp_path):
    torch.save({"facetool": 1, "step": 3}, tmp_path / "c.pt")
    with pytest.raises(FormatError, match="no proper 'config'"):
        load_checkpoint(tmp_path / "c.pt")
