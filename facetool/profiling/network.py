"""``profile network``: size, operations, time and memory of networks, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facetool.alignment.stated_recipe import StatedRecipe
from facetool.embedding.embedder import TORCH_DTYPES
from facetool.errors import UsageError, WeightsError, one_line
from facetool.files.input_file import why_no_file
from facetool.jobs.progress import progress_bar
from facetool.jobs.report import Report
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.count import count_flops, count_parameters
from facetool.networks.devices import resolve_device
from facetool.networks.engine import EngineNetwork
from facetool.networks.fold import FoldedNetwork, for_inference
from facetool.networks.inputs import to_input
from facetool.networks.registry import Architecture, create
from facetool.profiling.blocks import time_blocks
from facetool.profiling.machine import Machine, this_machine
from facetool.profiling.memory import peak_gpu_memory, peak_host_memory, reset_peak_memory
from facetool.profiling.published_times import published_times
from facetool.profiling.timing import Timing, time_passes
from facetool.weights.catalogue import Pretrained
from facetool.weights.download import available_locally
from facetool.weights.load import load_network, named_source, resolve_source

RANDOM = "random"
"""In place of the weights' name: the network was built for the measurement."""

_WARM_UP = 10
_SECONDS_PER_BATCH_SIZE = 1.0
_MOST_PASSES = 1000
_BLOCK_PASSES = 50


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """What is measured.

    Attributes:
        devices: to run on, one after the other: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; none
            twice.
        dtypes: keys of :data:`facetool.networks.dtypes.DTYPES`, none twice.
        passes: single-image forward passes.
        batch_sizes: images per pass, for the throughput.
        layers: whether to time each top-level block.
    """

    devices: Sequence[str | torch.device] = ("auto",)
    dtypes: Sequence[str] = ("float32",)
    passes: int = 500
    batch_sizes: Sequence[int] = (1, 8, 32)
    layers: bool = False


@dataclass(frozen=True)
class NetworkRun:
    """A network on one device in one precision.

    Attributes:
        device: as PyTorch names it.
        hardware: behind the device.
        dtype: the precision.
        single: forward pass of one image that lies on the device.
        throughput: images per second by batch size; None where memory did not suffice.
        host_memory: peak of the process, libraries and weights included, bytes.
        gpu_memory: peak of the tensors on the GPU, bytes.
        blocks: mean milliseconds of each top-level block, if requested.
    """

    device: str
    hardware: str
    dtype: str
    single: Timing
    throughput: dict[int, float | None]
    host_memory: int | None
    gpu_memory: int | None
    blocks: dict[str, float]


@dataclass(frozen=True)
class NetworkProfile:
    """Everything known of one network.

    Attributes:
        name: as it was given.
        architecture: registry name.
        weights: name of the weights or of their file, or ``random``.
        input_size: height and width, pixels.
        parameters: learned numbers; this and the next two are None for a file that another engine
            runs, which is not looked into.
        multiply_adds: of one image.
        flops: of one image, as OpenVINO counts.
        weights_bytes: of the weights file with what lies beside it, or else of all the network's
            tensors.
        runs: one per device and precision that could be run.
    """

    name: str
    architecture: str
    weights: str
    input_size: tuple[int, int]
    parameters: int | None
    multiply_adds: int | None
    flops: int | None
    weights_bytes: int
    runs: tuple[NetworkRun, ...]


@dataclass(frozen=True)
class NetworkProfiles:
    """Networks side by side.

    Attributes:
        machine: they were measured on.
        settings: with which.
        networks: in the order they were given.
        report: what could not be run.
    """

    machine: Machine
    settings: NetworkSettings
    networks: tuple[NetworkProfile, ...]
    report: Report

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "machine": self.machine.as_dict(),
            "passes": self.settings.passes,
            "networks": [
                {
                    **asdict(one),
                    "published": [asdict(time) for time in published_times(one.architecture)],
                }
                for one in self.networks
            ],
            "failed": [{"run": name, "reason": why} for name, why in self.report.failures],
        }


def profile_networks(
    models: Sequence[str],
    settings: NetworkSettings,
    *,
    weights: Path | None = None,
    recipe: StatedRecipe | None = None,
    output: str = "",
) -> NetworkProfiles:
    """Measure networks one after the other, folded as ``represent`` runs them.

    A network whose weights are not on this machine is measured with random initial weights,
    which takes the same time.

    Args:
        models: catalogue or architecture names, or weights files; none: what ``weights`` holds,
            or else the default network.
        settings: what is measured.
        weights: file for the only one of ``models``.
        recipe: what is known of the input, in place of what files state.
        output: the layer whose values are the embedding, where that is not the last.

    Raises:
        UsageError: there is no such name, file, device or layer, or the recipe is not complete.
        FacetoolError: a file cannot be read.
    """
    models = models or [str(named_source(None, weights))]
    if weights is not None and len(models) > 1:
        raise UsageError(
            "weights=FILE belongs to one MODEL; give several weights files as MODELs",
            "weights=FILE",
        )
    devices = [resolve_device(device, mps=False) for device in dict.fromkeys(settings.devices)]
    runs = list(product(devices, dict.fromkeys(settings.dtypes)))
    machine, report = this_machine(), Report()
    found = [(model, _find(model)) for model in models]
    total = len(models) * len(runs) * settings.passes
    profiles = []
    with progress_bar("profile", total, unit="pass") as bar:
        for model, entry in found:
            bar.describe(model)
            network = _load(entry, weights, recipe, output)
            profiles.append(_profile(model, network, runs, settings, machine, report, bar.update))
    return NetworkProfiles(machine, settings, tuple(profiles), report)


def network_to_measure(
    model: str | None = None,
    weights: Path | None = None,
    *,
    recipe: StatedRecipe | None = None,
    output: str = "",
) -> EmbeddingNetwork:
    """A network with its weights, or with random ones where they are not on this machine.

    Args:
        model: name or weights file; default: what the weights hold, or else the default network.
        weights: file, instead of the published ones.
        recipe: what is known of the input, in place of what the file states.
        output: the layer whose values are the embedding, where that is not the last.

    Raises:
        UsageError: there is no such name, file or layer, or the recipe is not complete.
        FacetoolError: a file cannot be read.
    """
    return _load(_find(named_source(model, weights)), weights, recipe, output)


def _find(model: str | Path) -> Pretrained | Architecture | Path:
    """What a name or a file stands for; what is not there is said before others are measured."""
    found = resolve_source(model)
    if isinstance(found, Path) and not found.is_file():
        raise UsageError(f"{found}: {why_no_file(found)}")
    return found


def _load(
    entry: Pretrained | Architecture | Path,
    weights: Path | None,
    recipe: StatedRecipe | None,
    output: str,
) -> EmbeddingNetwork:
    if isinstance(entry, Path):
        return load_network(entry, weights, recipe=recipe, output=output)
    runnable = isinstance(entry, Architecture) or entry.readable
    if weights is None and runnable and not _is_available(entry):
        if isinstance(entry, Architecture):
            return create(entry.name).eval()
        return create(entry.architecture, **entry.options).eval()
    return load_network(entry.name, weights, recipe=recipe, output=output)


def _is_available(entry: Pretrained | Architecture) -> bool:
    try:
        available_locally(entry)
    except WeightsError:
        return False
    return True


def _profile(
    model: str,
    network: EmbeddingNetwork,
    wanted: Sequence[tuple[torch.device, str]],
    settings: NetworkSettings,
    machine: Machine,
    report: Report,
    progress: Callable[[], object],
) -> NetworkProfile:
    crop = network.recipe.crop
    size = (crop.height, crop.width)
    counts = not isinstance(network, EngineNetwork)
    flops = count_flops(network, network.recipe.shape) if counts else None
    file = network.info.weights_path
    runs = []
    for device, dtype in wanted:
        try:
            runs.append(_measure(network, device, dtype, settings, machine, progress))
        except (RuntimeError, UsageError) as error:  # no engine has every precision everywhere
            reason = one_line(error)
            report.failed(f"{model} in {dtype} on {device}", f"cannot be run: {reason}")
    return NetworkProfile(
        model,
        network.info.architecture,
        network.info.weights_name or RANDOM,
        size,
        count_parameters(network) if counts else None,
        flops.multiply_adds if flops else None,
        flops.openvino if flops else None,
        _tensor_bytes(network) if file is None else _file_bytes(file),
        tuple(runs),
    )


def _file_bytes(path: Path) -> int:
    """Of a file, and of OpenVINO's weights beside it."""
    beside = [path.with_suffix(".bin")] if path.suffix.lower() == ".xml" else []
    return sum(file.stat().st_size for file in (path, *beside))


def _tensor_bytes(network: EmbeddingNetwork) -> int:
    return sum(tensor.nbytes for tensor in network.state_dict().values())


@torch.inference_mode()
def _measure(
    network: EmbeddingNetwork,
    device: torch.device,
    dtype: str,
    settings: NetworkSettings,
    machine: Machine,
    progress: Callable[[], object],
) -> NetworkRun:
    reset_peak_memory(device)
    given = TORCH_DTYPES[dtype]
    if isinstance(network, EngineNetwork):
        network, given = network.in_dtype(dtype), torch.float32
    folded = for_inference(network, device, given)
    noise = partial(_noise, network, device=device, dtype=given)
    image = noise(1)
    time_passes(lambda: folded(image), device, _WARM_UP)
    single = time_passes(lambda: folded(image), device, settings.passes, after_each=progress)
    throughput = {size: _throughput(folded, noise, size) for size in settings.batch_sizes}
    memory = peak_host_memory(), peak_gpu_memory(device)
    passes = min(settings.passes, _BLOCK_PASSES)
    blocks = time_blocks(folded, image, passes) if settings.layers else {}
    hardware = machine.device_name(device)
    return NetworkRun(str(device), hardware, dtype, Timing.of(single), throughput, *memory, blocks)


def _noise(
    network: EmbeddingNetwork, size: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """A batch of crops of the network's size; what they show makes no difference in time."""
    recipe = network.recipe
    shape = (size, recipe.crop.height, recipe.crop.width, 3)
    pixels = torch.randint(256, shape, generator=torch.Generator().manual_seed(0))
    return to_input(pixels, recipe).to(device, dtype, memory_format=torch.channels_last)


def _throughput(network: FoldedNetwork, noise: Callable[[int], Tensor], size: int) -> float | None:
    """Images per second in batches of a size, after one to warm up."""
    try:
        images = noise(size)
        network(images)
        times = time_passes(
            lambda: network(images), images.device, _MOST_PASSES, _SECONDS_PER_BATCH_SIZE
        )
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return None
    return 1000 * size * len(times) / sum(times)
