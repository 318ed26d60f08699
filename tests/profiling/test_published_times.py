"""Published times belong to networks that exist."""

from facetool.networks.registry import ARCHITECTURES
from facetool.profiling.published_times import (
    PUBLISHED_PIPELINES,
    PUBLISHED_TIMES,
    published_times,
)


def test_architectures() -> None:
    assert {time.architecture for time in PUBLISHED_TIMES} <= set(ARCHITECTURES)
    assert published_times("dlib-resnet") == []


def test_openface() -> None:
    cpu, slow, gpu = published_times("nn4.small2")
    assert (slow.milliseconds, slow.std) == (460.89, 85.74) and "netlib" in slow.hardware
    assert (cpu.milliseconds, cpu.std, cpu.hardware) == (
        58.9,
        15.36,
        "8-core 3.70 GHz CPU, OpenBLAS",
    )
    assert (gpu.milliseconds, gpu.std, gpu.hardware) == (13.72, 4.64, "Tesla K40 GPU")
    assert [time.network for time in published_times("nn4")] == ["nn4.v2"] * 3 + ["nn4.v1"] * 3


def test_each_network_of_openface_has_both_libraries_times() -> None:
    times = {(t.network, t.hardware.partition(", ")[2]): t.milliseconds for t in PUBLISHED_TIMES}
    names = ("nn4.small2.v1", "nn4.small1.v1", "nn4.v2", "nn4.v1")
    assert [times[name, "netlib BLAS"] for name in names] == [460.89, 528.33, 687.27, 679.75]
    assert [times[name, "OpenBLAS"] for name in names] == [58.9, 69.58, 82.74, 75.67]


def test_the_pipeline_of_two_versions() -> None:
    times = {(one.program, one.photo): one.milliseconds for one in PUBLISHED_PIPELINES}
    assert times["OpenFace 0.1.1", "lennon-1"] == 2822
    assert times["OpenFace 0.2.0", "carell"] == 884
