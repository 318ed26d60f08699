"""Golden files: each object against what the folder's CONTENTS.txt says of it, exactly."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facetool.errors import FacetoolError, FormatError
from facetool.weights.readers.torch7 import LuaFunction, LuaTable, TorchObject, matches, read
from tests.weights.readers.torch7_files import Instance, Storage, View, torch7_bytes

FORMS = [
    pytest.param(False, 8, id="binary, 64 bits"),
    pytest.param(False, 4, id="binary, 32 bits"),
    pytest.param(True, 8, id="ascii"),
]
S = {"x": 1, "y": "two"}
T = np.array([1.5, 2.5, 3.5], "f4")
GOLDEN: dict[str, Any] = {
    "nil": None,
    "number_int": 42,
    "number_double": 3.141592653589793,
    "number_neg": -1e-300,
    "string": "hello, Torch7",
    "string_empty": "",
    "string_bytes": bytes.fromhex("610a62206300 64c3a920ff").decode("utf-8", "surrogateescape"),
    "bool_true": True,
    "bool_false": False,
    "table_nested": {
        **{1: 10, 2: 20, 3: 30, "name": "root", "flag": True, "sub": S, "again": S},
        "list": {1: S, 2: S, 3: {"deep": {1: S}}},
        **{"t1": T, "t2": T, 2.5: "float key", -1: "neg key"},
    },
    "table_empty": {},
    "table_array_hole": {1: 1, 3: 3},
    "float": np.array([[1, 2, 3], [4, 5, 6.25]], "f4"),
    "double": np.array([[0.1, -2], [1e300, 4]], "f8"),
    "long": np.array([1, -2, 3000000000, -4000000000], "i8"),
    "int": np.array([1, -2, 2000000000], "i4"),
    "short": np.array([1, -2, 32767], "i2"),
    "byte": np.array([0, 1, 127, 128, 255, 10, 32], "u1"),
    "char": np.array([-128, -1, 0, 1, 127, 10, 32], "i1"),
    "float_special": np.array([np.nan, np.inf, -np.inf, 1e-45, 3.4028234e38], "f4"),
    "float_empty": np.empty(0, "f4"),
    "double_1": np.array([7], "f8"),
    "float_5d": np.arange(1, 49, dtype="f4").reshape(2, 1, 2, 3, 4),
    "float_transposed": np.array([[1, 4], [2, 5], [3, 6]], "f4"),
    "float_offset": np.array([[5, 6], [7, 8]], "f4"),
    "float_strided": np.array([[8, 9, 10], [14, 15, 16]], "f4"),
    "float_expanded": np.array([[1, 1, 1], [2, 2, 2]], "f4"),
    "storage_long": np.array([3, 96, 96], "i8"),
    "storage_float": np.array([1, 2.5], "f4"),
    "tensor_list": {
        i: np.array([i], kind) for i, kind in enumerate(("f4", "f8", "i8", "u1"), start=1)
    },
    "unreferenced": {"a": S, "b": S},
}


def assert_same(value: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert isinstance(value, LuaTable) and set(value) == set(expected)
        for key in expected:
            assert_same(value[key], expected[key])
    elif isinstance(expected, np.ndarray):
        assert value.dtype == expected.dtype and value.shape == expected.shape
        np.testing.assert_array_equal(value, expected)
    else:
        assert value == expected and isinstance(value, bool) == isinstance(expected, bool)


def read_golden(shared: Path, name: str) -> Any:
    return read(shared / "golden/torch7/format" / f"{name}.t7")


@pytest.fixture
def read_bytes(tmp_path: Path) -> Any:
    def read_them(content: bytes) -> Any:
        path = tmp_path / "x.t7"
        path.write_bytes(content)
        return read(path)

    return read_them


# "unreferenced" is there in binary only.
@pytest.mark.parametrize("name", [*GOLDEN, *(f"{name}.ascii" for name in list(GOLDEN)[:-1])])
def test_reads_what_torch7_wrote(shared: Path, name: str) -> None:
    assert_same(read_golden(shared, name), GOLDEN[name.removesuffix(".ascii")])


@pytest.mark.parametrize("suffix", ["", ".ascii"])
def test_objects_mentioned_twice_are_one(shared: Path, suffix: str) -> None:
    nested = read_golden(shared, "table_nested" + suffix)
    assert nested["sub"] is nested["again"] is nested["list"][3]["deep"][1]
    assert nested["t1"] is nested["t2"]
    cycle = read_golden(shared, "table_cycle" + suffix)
    assert cycle["self"] is cycle and cycle["v"] == 1 and len(cycle) == 2
    keyed = read_golden(shared, "table_key_table" + suffix)
    assert keyed[keyed["k"]] == "value for table key" and keyed["k"]["id"] == 7


@pytest.mark.parametrize("suffix", ["", ".ascii"])
def test_tensors_share_their_storage(shared: Path, suffix: str) -> None:
    table = read_golden(shared, "shared_storage" + suffix)
    values = np.arange(1, 11, dtype="f4")
    blocks = values[4:].reshape(2, 3)
    assert_same(table, {"base": values, "st": values, "a": values[:4], "b": blocks, "bt": blocks.T})
    for name in ("base", "a", "b", "bt"):
        assert np.shares_memory(table[name], table["st"])
        assert not table[name].flags.writeable


@pytest.mark.parametrize("suffix", ["", ".ascii"])
def test_modules_and_functions_are_inert_records(shared: Path, suffix: str) -> None:
    linear = read_golden(shared, "nn_linear" + suffix)
    assert isinstance(linear, TorchObject) and (linear.kind, linear.version) == ("nn.Linear", 1)
    assert_same(linear.fields["weight"], np.arange(1, 7, dtype="f4").reshape(3, 2))
    assert_same(linear.fields["bias"], np.array([7, 8, 9], "f4"))
    table = read_golden(shared, "func" + suffix)
    assert table["n"] == 3 and isinstance(table["f"], LuaFunction)
    assert table["f"].code.startswith(b"\x1bLJ") and len(table["f"].code) == 54
    assert_same(table["f"].upvalues, {1: {"name": "up", "id": 1, "value": 5}})


@pytest.mark.slow
def test_reads_a_network_well_under_a_second(shared: Path) -> None:
    path = shared / "golden/torch7/nn4.small2.t7"
    start = time.process_time()
    network = read(path)
    assert time.process_time() - start < 0.5
    assert len(network.fields["modules"]) == 24


def sample() -> dict[Any, Any]:
    """One value of every kind, longs of both signs, shared objects."""
    storage = Storage(np.arange(12, dtype="f4"))
    weight = View(storage, [2, 3], [1, 2], offset=5)
    shared_table = {"id": 7}
    return {
        **{1: -2.5, "text": "a\nb", "raw": b"\xff\x00", "yes": True, "no": False, "none": ""},
        "module": Instance("nn.Thing", {"weight": weight, "output": View(None, [], [])}),
        "old": Instance("nn.Old", {}, version=None),
        **{"weight": weight, "storage": storage, "t": shared_table, "again": shared_table},
        "longs": Storage(np.array([3, -1, 96], "i8")),
        "bytes": np.array([10, 32, 255], "u1"),
        "doubles": np.array([[0.1, 1e300]]),
        "list": [1, [2, [3, {}]]],
    }


@pytest.mark.parametrize(("ascii", "long_size"), FORMS)
def test_reads_every_kind_of_value(read_bytes: Any, ascii: bool, long_size: int) -> None:
    table = read_bytes(torch7_bytes(sample(), ascii, long_size))
    module = table.pop("module")
    assert module.kind == "nn.Thing" and module.fields["weight"] is table["weight"]
    assert module.fields["output"].shape == (0,)
    old = table.pop("old")
    assert (old.kind, old.version) == ("nn.Old", 0)
    assert table["again"] is table["t"]
    assert np.shares_memory(table["weight"], table["storage"])
    assert table["longs"].dtype == f"i{long_size}"
    assert table["longs"].tolist() == [3, -1, 96]
    del table["longs"]
    assert_same(
        table,
        {
            **{1: -2.5, "text": "a\nb", "raw": "\udcff\0", "yes": True, "no": False, "none": ""},
            "weight": np.array([[4, 6, 8], [5, 7, 9]], "f4"),
            **{"storage": np.arange(12, dtype="f4"), "t": {"id": 7}, "again": {"id": 7}},
            "bytes": np.array([10, 32, 255], "u1"),
            "doubles": np.array([[0.1, 1e300]]),
            "list": {1: 1, 2: {1: 2, 2: {1: 3, 2: {}}}},
        },
    )


FEW = Storage(np.arange(6, dtype="f4"))


@pytest.mark.parametrize(("ascii", "long_size"), FORMS)
@pytest.mark.parametrize(
    "view",
    [
        View(FEW, [7], [1]),
        View(FEW, [2, 3], [4, 1]),
        View(FEW, [2], [1], offset=6),
        View(FEW, [2], [1], offset=0),
        View(FEW, [2], [-1], offset=6),
        View(FEW, [0], [1]),
        View(FEW, [-1], [1]),
        View(FEW, [1 << 30, 1 << 8], [0, 0]),
        View(FEW, [1] * 33, [1] * 33),
    ],
)
def test_tensors_outside_their_storage(
    read_bytes: Any, view: View, ascii: bool, long_size: int
) -> None:
    with pytest.raises(FormatError, match="a tensor"):
        read_bytes(torch7_bytes([view, "what follows " * 9], ascii, long_size))


def test_a_stride_that_is_never_used_may_be_anything(read_bytes: Any) -> None:
    assert_same(read_bytes(torch7_bytes(View(FEW, [1, 6], [1 << 62, 1]))), FEW.values.reshape(1, 6))


def test_a_tensor_cannot_pose_as_a_longer_storage(read_bytes: Any) -> None:
    storage = Storage(np.zeros(1, "f4"))
    expanded = View(storage, [100], [0])
    posing = View(expanded, [100], [1])  # type: ignore[arg-type]
    expanded.values = storage.values  # type: ignore[attr-defined]
    with pytest.raises(FormatError, match="without a storage"):
        read_bytes(torch7_bytes({"a": expanded, "b": posing, "c": "x" * 200}))


@pytest.mark.parametrize("length", [1 << 38, (1 << 63) - 1, -1])
def test_a_storage_of_a_terabyte_fails_at_once(read_bytes: Any, length: int) -> None:
    honest = torch7_bytes(Storage(np.arange(3, dtype="f4")))
    place = honest.index(struct.pack("<q", 3), -20)
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(FormatError, match=r"x\.t7"):
        read_bytes(honest[:place] + struct.pack("<q", length) + honest[place + 8 :])
    assert time.process_time() - start < 0.5
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(("ascii", "long_size"), FORMS)
def test_deep_nesting_is_refused(read_bytes: Any, ascii: bool, long_size: int) -> None:
    nested: list[Any] = []
    for _ in range(250):
        nested = [nested]
    with pytest.raises(FormatError, match="nested deeper"):
        read_bytes(torch7_bytes(nested, ascii, long_size))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a Torch7 file"),
        (b"PK\x03\x04", "not a Torch7 file"),
        (struct.pack("<i", 9), "not a Torch7 file"),
        (struct.pack("<ii", 2, -5), "announced"),
        (struct.pack("<iii", 3, 1, -5), "entries"),
        (struct.pack("<iiii", 3, 1, 1, 0) + b"\0" * 4, "nil"),
        (struct.pack("<id", 1, 1.0) + b"!", "follow"),
        (b"1\n4x\n", "line of 1 numbers"),
        (b"1\n4 4\n", "more than 1 number"),
        (b"4\n1\n3\nV 1\n18\ntorch.FloatStorage\n274877906944\n1 2 3\n", "values in a line"),
        (b"2\n999999999\nx\n", "announced"),
        (torch7_bytes(View(None, [3], [1])), "in a storage of 0"),
        (torch7_bytes(Instance("not a class", {})), "proper name"),
        (torch7_bytes(sample())[:-1], "left"),
    ],
)
def test_damage_is_named(read_bytes: Any, content: bytes, reason: str) -> None:
    with pytest.raises(FormatError, match=reason) as raised:
        read_bytes(content)
    assert "x.t7" in str(raised.value) and "\n" not in str(raised.value)


def test_matches_only_the_first_bytes_of_torch7() -> None:
    assert matches(b"\x04\0\0\0") and matches(b"4\n1\n")
    assert not matches(b"PK\x03\x04") and not matches(b"\x08\x03\x12\x07") and not matches(b"")


@pytest.mark.slow
@pytest.mark.parametrize(("ascii", "long_size"), FORMS)
def test_damaged_files_read_or_fail_cleanly(read_bytes: Any, ascii: bool, long_size: int) -> None:
    whole = torch7_bytes(sample(), ascii, long_size)
    rng = random.Random(7)
    failures = 0
    tracemalloc.start()
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(len(damaged))] = rng.choice([0, 1, 2, 4, 49, 127, 255])
        del damaged[rng.choice([len(damaged), rng.randrange(len(damaged))]) :]
        try:
            read_bytes(bytes(damaged))
        except FacetoolError:
            failures += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert failures > 50
    assert peak < 1 << 20
