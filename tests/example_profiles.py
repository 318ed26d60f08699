"""What ``profile`` may have measured, for what is made of it: tables and plots."""

import torch

from facetool.alignment.recipes import DLIB_CHIP
from facetool.jobs.report import Report
from facetool.profiling.folder import FolderProfile
from facetool.profiling.machine import Machine
from facetool.profiling.network import (
    NetworkProfile,
    NetworkProfiles,
    NetworkRun,
    NetworkSettings,
)
from facetool.profiling.pipeline import PhotoProfile, PipelineProfile
from facetool.profiling.pipeline_settings import PipelineSettings
from facetool.profiling.timing import Timing

CPU = torch.device("cpu")
MACHINE = Machine("Some CPU", 4, 2, (), 0.5, "2.13.0")


def pipeline_profile() -> PipelineProfile:
    """A photo in three iterations and a folder."""
    stages = {
        "detection": Timing.of([20, 22, 24]),
        "alignment": Timing.of([1, 2, 3]),
        "representation": Timing.of([9, 9, 9]),
    }
    photo = PhotoProfile("in/a.jpg", 250, 240, stages, Timing.of([30, 33, 36]))
    busy = {"reading": 1.0, "detection": 6.0, "alignment": 1.0, "representation": 4.0}
    folder = FolderProfile("in", 100, 90, 2, 1.5, 8.0, busy, 100_000_000)
    settings = PipelineSettings(device=CPU, crop=DLIB_CHIP, iterations=3)
    return PipelineProfile(
        MACHINE, settings, "dlib-resnet.v1", (photo,), (folder,), 300_000_000, None, Report()
    )


def network_profiles() -> NetworkProfiles:
    """A network in two dtypes, and one with published times in one."""

    def run(dtype: str, block: str) -> NetworkRun:
        single = Timing.of([4, 5, 6])
        throughput: dict[int, float | None] = {1: 200.0, 2: 300.0}
        blocks = {block: 4.5, "head": 0.5}
        return NetworkRun("cpu", "Some CPU", dtype, single, throughput, 200_000_000, None, blocks)

    runs = run("float32", "blocks.0"), run("bfloat16", "blocks.13")
    dlib = NetworkProfile(
        name="dlib-resnet",
        architecture="dlib-resnet",
        weights="dlib-resnet.v1",
        input_size=(150, 150),
        parameters=5_600_000,
        multiply_adds=270_000_000,
        flops=540_000_000,
        weights_bytes=22_500_000,
        runs=runs,
    )
    openface = NetworkProfile(
        name="NN4.small2",
        architecture="nn4.small2",
        weights="random",
        input_size=(96, 96),
        parameters=3_733_968,
        multiply_adds=203_800_000,
        flops=407_600_000,
        weights_bytes=15_000_000,
        runs=runs[:1],
    )
    settings = NetworkSettings(devices=[CPU], passes=3, batch_sizes=(1, 2), layers=True)
    return NetworkProfiles(MACHINE, settings, (dlib, openface), Report())
