"""Networks measured."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from facetool.alignment.recipes import ARCFACE_112, Recipe
from facetool.cli.tables.profile import networks_text
from facetool.errors import FormatError, UsageError
from facetool.networks.engine import OPENVINO, EngineNetwork, RunBatch
from facetool.networks.registry import create
from facetool.profiling.network import (
    NetworkProfiles,
    NetworkSettings,
    network_to_measure,
    profile_networks,
)
from facetool.weights.openvino_export import export_openvino

CPU = torch.device("cpu")
QUICK = NetworkSettings(devices=[CPU], passes=2, batch_sizes=(1, 2))


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No weights but the shipped ones, and no more throughput passes than one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACETOOL_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr("facetool.profiling.network._SECONDS_PER_BATCH_SIZE", 0)
        yield


@pytest.fixture(scope="module")
def profiles() -> NetworkProfiles:
    """The shipped network, and one without weights that bfloat16 does not suit."""
    settings = NetworkSettings(
        devices=[CPU], dtypes=("float32", "bfloat16"), passes=2, batch_sizes=(1, 2), layers=True
    )
    return profile_networks(["dlib-resnet", "NN4.small2"], settings)


@pytest.mark.slow
def test_figures(profiles: NetworkProfiles) -> None:
    dlib, nn4 = profiles.networks
    assert (dlib.weights, dlib.weights_bytes) == ("dlib-resnet.v1", 22_466_066)
    assert (nn4.weights, nn4.parameters, nn4.input_size) == ("random", 3_733_968, (96, 96))
    assert nn4.weights_bytes > 4 * nn4.parameters
    assert 2 * nn4.multiply_adds < nn4.flops < 2.1 * nn4.multiply_adds
    run = dlib.runs[0]
    assert run.single.count == 2
    assert 0 < run.single.min <= run.single.median <= run.single.mean + run.single.std
    assert list(run.throughput) == [1, 2] and all(run.throughput.values())
    assert run.host_memory is None or run.host_memory > dlib.weights_bytes
    assert run.gpu_memory is None
    assert run.blocks["stem"] > 0


@pytest.mark.slow
def test_what_cannot_be_run_is_named_and_the_rest_is_measured(profiles: NetworkProfiles) -> None:
    dlib, nn4 = profiles.networks
    assert [run.dtype for run in dlib.runs] == ["float32", "bfloat16"]
    assert nn4.weights == "random" and "blocks.13" in dlib.runs[1].blocks
    failed = [name for name, _ in profiles.report.failures]
    if failed:  # later versions of PyTorch may have what is missing
        assert failed == ["NN4.small2 in bfloat16 on cpu"]
        assert [run.dtype for run in nn4.runs] == ["float32"]


@pytest.mark.slow
def test_json(profiles: NetworkProfiles) -> None:
    document = json.loads(json.dumps(profiles.as_dict()))
    dlib, nn4 = document["networks"]
    assert dlib["runs"][0]["throughput"].keys() == {"1", "2"}
    assert dlib["published"] == []
    assert {time["milliseconds"] for time in nn4["published"]} == {58.9, 460.89, 13.72}
    assert document["machine"]["cores"] >= 1


@pytest.mark.slow
def test_a_weights_file(shared: Path) -> None:
    path = shared / "golden/mxnet/y1-0000.params"
    by_epoch = f"{path.parent}/y1,0"
    for models, weights in ([str(path)], None), ([by_epoch], None), (["mobilefacenet"], path):
        (one,) = profile_networks(models, QUICK, weights=weights).networks
        assert one.weights_bytes == path.stat().st_size
        assert (one.architecture, one.weights) == ("mobilefacenet", path.name)


def test_names() -> None:
    with pytest.raises(UsageError, match="did you mean nn4"):
        profile_networks(["dlib-resnet", "nn5"], QUICK)
    with pytest.raises(UsageError, match=r"gone\.t7: no such file"):
        network_to_measure("gone.t7")
    with pytest.raises(UsageError, match=r"gone-0007\.params: no such file"):
        profile_networks(["dlib-resnet", "run/gone,7"], QUICK)
    with pytest.raises(UsageError, match="belongs to one MODEL"):
        profile_networks(["nn4", "nn2"], QUICK, weights=Path("x.t7"))
    with pytest.raises(FormatError):
        network_to_measure(__file__)


@pytest.mark.slow
def test_devices_are_resolved_and_none_is_measured_twice() -> None:
    settings = NetworkSettings(
        devices=["cpu", "cpu"], dtypes=["float32"] * 2, passes=1, batch_sizes=()
    )
    (one,) = profile_networks(["nn4.small2"], settings).networks
    assert [(run.device, run.dtype) for run in one.runs] == [("cpu", "float32")]
    with pytest.raises(UsageError, match="give auto, cpu, cuda or cuda:N"):
        profile_networks([], NetworkSettings(devices=["mps"]))


def test_random_weights_are_those_of_the_published_definition() -> None:
    network = network_to_measure("nn4.small2.v1")
    assert network.info.options["pooling"] == "january2016"
    assert not network.training and not network.info.weights_name


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu() -> None:
    settings = NetworkSettings(
        devices=[torch.device("cuda")],
        dtypes=("float16",),
        passes=5,
        batch_sizes=(1, 4),
        layers=True,
    )
    (one,) = profile_networks(["lresnet18e-ir"], settings).networks
    (run,) = one.runs
    assert run.gpu_memory is not None and run.gpu_memory > 2 * one.parameters


@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_an_engine_is_measured_in_the_precision_that_is_named(
    has_bfloat16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def run_in(dtype: str) -> RunBatch:
        def run(x: torch.Tensor) -> torch.Tensor:
            ran.append(dtype)
            return x.mean((2, 3))

        return run

    network = EngineNetwork(
        run_in("float32"), (3, 112, 112), OPENVINO, [], run_in if has_bfloat16 else None
    )
    network.info = replace(network.info, recipe=Recipe(ARCFACE_112))
    monkeypatch.setattr("facetool.profiling.network._load", lambda *args: network.eval())
    ran.clear()
    settings = NetworkSettings(
        devices=[CPU], dtypes=("bfloat16", "float32"), passes=2, batch_sizes=(1,)
    )
    found = profile_networks(["dlib-resnet"], settings)
    measured = [run.dtype for run in found.networks[0].runs]
    expected = ["bfloat16", "float32"] if has_bfloat16 else ["float32"]
    assert measured == expected and list(dict.fromkeys(ran)) == expected
    assert len(found.report.failed_images()) == len(settings.dtypes) - len(expected)
    assert found.networks[0].parameters is None  # it is not looked into
    assert networks_text(found).splitlines()[1].split()[3:6] == ["-", "-", "0.0"]


def test_a_file_is_as_large_as_what_lies_beside_it(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    network = create("mobilefacenet", embedding_size=16).eval()
    export_openvino(network, tmp_path / "x.xml", fold=False)
    settings = NetworkSettings(devices=[CPU], passes=1, batch_sizes=())
    (one,) = profile_networks([str(tmp_path / "x.xml")], settings).networks
    assert one.weights_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
