"""Published times belong to networks that exist."""

from facetool.networks.registry import ARCHITECTURES
from facetool.profiling.published_times import PUBLISHED_TIMES, published_times


def test_architectures() -> None:
    assert {time.architecture for time in PUBLISHED_TIMES} <= set(ARCHITECTURES)
    assert published_times("dlib-resnet") == []


def test_openface() -> None:
    cpu, gpu = published_times("nn4.small2")
    assert (cpu.milliseconds, cpu.std, cpu.hardware) == (58.9, 15.36, "8-core 3.70 GHz CPU")
    assert (gpu.milliseconds, gpu.std, gpu.hardware) == (13.72, 4.64, "Tesla K40 GPU")
    assert [time.network for time in published_times("nn4")] == ["nn4.v2"] * 2 + ["nn4.v1"] * 2
