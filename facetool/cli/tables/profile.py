"""Measurements as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from facetool.cli.tables.columns import format_table
from facetool.cropping.detectors import describe_detector
from facetool.files.text import counted
from facetool.profiling.folder import PROFILE_STAGES, FolderProfile
from facetool.profiling.network import NetworkProfiles
from facetool.profiling.pipeline import PhotoProfile, PipelineProfile
from facetool.profiling.pipeline_settings import PipelineSettings
from facetool.profiling.published_times import PUBLISHED_PIPELINES, published_times

_NOT_STATED = "-"


def networks_text(profiles: NetworkProfiles, published: bool = False) -> str:
    """What :func:`facetool.profiling.network.profile_networks` measured.

    Args:
        profiles: of one network or more.
        published: whether to add the times their authors published.
    """
    runs = [(one, run) for one in profiles.networks for run in one.runs]
    sizes = profiles.settings.batch_sizes
    on_gpu = any(run.gpu_memory is not None for _, run in runs)
    parts = [
        format_table(
            ("network", "weights", "crop", "parameters", "G multiply-adds", "GFLOPs", "MB"),
            [
                (
                    one.name,
                    one.weights,
                    "x".join(map(str, one.input_size)),
                    one.parameters,
                    _billions(one.multiply_adds),
                    _billions(one.flops),
                    _Fixed(one.weights_bytes / 1e6, 1),
                )
                for one in profiles.networks
            ],
        ),
        format_table(
            (
                *("network", "device", "dtype", "ms", "± std", "median", "min"),
                *(f"img/s x{size}" for size in sizes),
                "peak MB",
                *(["GPU MB"] if on_gpu else []),
            ),
            [
                (
                    *(one.name, run.device, run.dtype),
                    *(_Fixed(getattr(run.single, key), 2) for key in _STATISTICS),
                    *(_Fixed(run.throughput[size], 1) for size in sizes),
                    _megabytes(run.host_memory),
                    *([_megabytes(run.gpu_memory)] if on_gpu else []),
                )
                for one, run in runs
            ],
        ),
    ]
    for one, run in runs:
        if run.blocks:
            parts.append(f"{one.name}, {run.device}, {run.dtype}\n{_blocks_text(run.blocks)}")
    if published:
        parts.append(_published_text([one.architecture for one in profiles.networks]))
    parts.append(
        f"ms: forward pass of one image, {profiles.settings.passes} passes; peak MB: of the whole "
        f"process, libraries included\n{profiles.machine}"
    )
    return "\n\n".join(parts)


_STATISTICS = ("mean", "std", "median", "min")


class _Fixed(float):
    """A number with a fixed number of decimals in a table; NaN where there is none."""

    def __new__(cls, value: float | None, digits: int) -> _Fixed:
        number = super().__new__(cls, float("nan") if value is None else value)
        number._digits = digits
        return number

    _digits: int

    def __str__(self) -> str:
        return _NOT_STATED if self != self else f"{self:.{self._digits}f}"


def _billions(number: int | None) -> _Fixed:
    return _Fixed(None if number is None else number / 1e9, 4)


def _megabytes(size: int | None) -> _Fixed:
    return _Fixed(None if size is None else size / 1e6, 0)


def _blocks_text(blocks: dict[str, float]) -> str:
    total = sum(blocks.values())
    rows = [(name, _Fixed(ms, 3), _Fixed(100 * ms / total, 1)) for name, ms in blocks.items()]
    return format_table(("block", "ms", "%"), [*rows, ("total", _Fixed(total, 3), _Fixed(100, 1))])


def _published_text(architectures: Sequence[str]) -> str:
    known = [time for name in dict.fromkeys(architectures) for time in published_times(name)]
    if not known:
        return "No times are published for these networks."
    rows = [
        (
            time.network,
            _Fixed(time.milliseconds, 2),
            _Fixed(time.std, 2),
            time.hardware,
            time.source,
        )
        for time in known
    ]
    return format_table(("published", "ms", "± std", "hardware", "source"), rows)


def published_pipelines_text() -> str:
    """The times that OpenFace published of its pipeline."""
    rows = [
        (one.program, one.photo, one.pixels, _Fixed(one.milliseconds, 0), one.hardware, one.source)
        for one in PUBLISHED_PIPELINES
    ]
    return format_table(("published", "photo", "pixels", "ms", "hardware", "source"), rows)


def pipeline_text(profile: PipelineProfile) -> str:
    """What :func:`facetool.profiling.pipeline.profile_pipeline` measured."""
    settings = profile.settings
    parts = [_photos_text(profile.photos)] if profile.photos else []
    parts += [_folder_text(folder) for folder in profile.folders]
    if profile.photos:
        parts.append(
            f"ms per photo, mean ± std of {settings.iterations} iterations: its largest face, "
            "decoding not included"
        )
    if profile.start_up is not None:
        parts.append(
            f"start-up: {profile.start_up:.2f} s to read the network and the detector and to run "
            "them once"
        )
    memory = f"peak memory {_megabytes(profile.host_memory)} MB"
    if profile.gpu_memory is not None:
        memory += f", GPU {_megabytes(profile.gpu_memory)} MB"
    parts.append(
        f"{profile.network} on {settings.device}, {settings.dtype}; detector "
        f"{_detector_text(settings)}; {memory}\n{profile.machine}"
    )
    return "\n\n".join(parts)


def _detector_text(settings: PipelineSettings) -> str:
    """``hog, upsample 1``: the detector and its settings."""
    options = describe_detector(settings.crop.detector, settings.detection)["options"]
    values = (f"{name.replace('_', '-')} {value}" for name, value in options.items())
    return ", ".join([settings.crop.detector, *values])


def _photos_text(photos: Sequence[PhotoProfile]) -> str:
    rows = [
        (
            photo.image,
            f"{photo.width}x{photo.height}",
            *(str(photo.stages[stage]) for stage in PROFILE_STAGES[1:]),
            str(photo.total),
        )
        for photo in photos
    ]
    return format_table(("photo", "pixels", *PROFILE_STAGES[1:], "total"), rows)


def _folder_text(folder: FolderProfile) -> str:
    each, shares = folder.milliseconds, folder.shares
    rows = [
        (
            stage,
            _Fixed(folder.busy[stage], 2),
            _Fixed(each[stage], 2),
            _Fixed(100 * shares[stage], 1),
        )
        for stage in PROFILE_STAGES
    ]
    waiting = max(0.0, 1 - sum(shares.values()))
    table = format_table(
        ("stage", "busy s", "ms per image", "% of the time"),
        [*rows, ("(waiting)", _Fixed(None, 2), _Fixed(None, 2), _Fixed(100 * waiting, 1))],
    )
    memory = _megabytes(folder.worker_memory)
    return (
        f"{folder.folder}: {folder.images_per_second:.1f} images per second end to end\n"
        f"{counted(folder.images, 'image')}, {counted(folder.faces, 'face')} in {folder.wall:.1f} "
        f"s with {counted(folder.jobs, 'worker')}, after {folder.start_up:.1f} s to start up; "
        f"largest worker {memory} MB\n"
        f"{table}\n"
        f"bottleneck: {folder.bottleneck}"
    )
