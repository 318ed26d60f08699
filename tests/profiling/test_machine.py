"""The description of the machine."""

import dataclasses

import torch

from facetool.profiling.machine import Machine, this_machine


def test_this_machine() -> None:
    machine = this_machine()
    assert machine.cores >= 1 and machine.cpu
    assert machine.threads == torch.get_num_threads()
    assert machine.device_name(torch.device("cpu")) == machine.cpu
    assert torch.__version__ in str(machine)


def test_busy() -> None:
    machine = Machine("cpu", 4, 4, ("first", "second"), 0.5, "2")
    assert not machine.busy
    assert dataclasses.replace(machine, load=3.0).busy
    assert not dataclasses.replace(machine, load=None).busy
    assert machine.device_name(torch.device("cuda:1")) == "second"
    assert machine.device_name(torch.device("cuda")) == "first"
