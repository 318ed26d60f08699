"""From crops to embeddings: batches through a network on any device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from facetool.embedding.choices import DEFAULT_BATCH_SIZE, ENGINES, FLIPS
from facetool.errors import UsageError, WeightsError, check_choice
from facetool.images.arrays import check_rgb_crops
from facetool.jobs.ordered_map import ordered_map
from facetool.jobs.progress import listener
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.devices import resolve_device
from facetool.networks.dtypes import DTYPES, EMBEDDING_DTYPES
from facetool.networks.engine import OPENVINO, EngineNetwork, check_has_weights
from facetool.networks.fold import for_inference
from facetool.networks.inputs import to_input

BatchItem = TypeVar("BatchItem")

_MOST_STREAMS = 8
"""Batches in the network at once on a CPU; their activations are what takes memory."""

_MOST_ON_CPU = 1024
"""Crops that go through the network at once there; the faces of a long video are more."""

NOT_FINITE = "its embedding is not finite: the weights are damaged or the precision is too low"

TORCH_DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in DTYPES}

KEEP_ACCURACY_IN_BFLOAT16 = frozenset({"dlib-resnet", "mobilefacenet"})
"""Architectures measured with trained weights on LFW-a (docs/performance.md)."""


def resolve_dtype(name: str, device: torch.device, network: EmbeddingNetwork) -> str:
    """The key of ``DTYPES`` that ``auto`` stands for; other names as they are.

    ``auto`` is bfloat16 where the device computes in it and the architecture has kept its
    accuracy in it, else float32.

    Raises:
        UsageError: there is no such name, or ``auto`` is asked of a GPU that another machine has.
    """
    check_choice("dtype", name, EMBEDDING_DTYPES)
    if name != "auto":
        return name
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "dtype='auto': the GPUs are not on this machine, which does not know what they compute "
            "in; give dtype='bfloat16' or dtype='float32'",
            "dtype='auto'",
            "dtype='bfloat16'",
            "dtype='float32'",
        )
    if isinstance(network, EngineNetwork):
        if network.engine_name != OPENVINO:
            return "float32"
        device = torch.device("cpu")  # whatever is asked for
    keeps = network.info.architecture in KEEP_ACCURACY_IN_BFLOAT16
    return "bfloat16" if keeps and _has_bfloat16(device) else "float32"


def _has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16 by itself, rather than by way of float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    # Private, and not in every PyTorch that facetool runs with.
    supported = (
        getattr(torch.cpu, "_is_avx512_bf16_supported", None),
        getattr(torch.cpu, "_is_amx_tile_supported", None),
    )
    return any(ask() for ask in supported if ask is not None)


def finite_rows(embeddings: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of the embeddings (N, D) are finite: bool (N,)."""
    return np.asarray(np.isfinite(embeddings).all(axis=1), np.bool_)


def check_finite(embeddings: NDArray[np.float32]) -> None:
    """Refuse embeddings (N, D) that nothing can be compared with.

    Raises:
        WeightsError: one of them is not finite.
    """
    if not finite_rows(embeddings).all():
        raise WeightsError(f"a face cannot be compared: {NOT_FINITE}")


class Embedder:
    """Runs crops through a network, its BatchNorm folded, in channels_last.

    Args:
        network: in eval mode; a folded copy of it is used.
        device: where to run, as :func:`facetool.resolve_device` takes it.
        dtype: one of :data:`facetool.networks.dtypes.EMBEDDING_DTYPES`; results are float32 in any
            case.
        flip: ``none``; ``sum`` adds the embedding of the mirrored crop and scales the result to
            unit length (InsightFace); ``concat`` appends it (facenet).
        engine: what runs the network, one of :data:`facetool.embedding.choices.ENGINES`.

    Attributes:
        recipe: how photos become crops.
        size: values of an embedding, mirrored half included.
        device: where it runs.
        dtype: what it computes in, a key of :data:`facetool.networks.dtypes.DTYPES`.

    Raises:
        UsageError: no such choice or device; the engine is not installed, or does not run on this
            device or in this dtype.
    """

    def __init__(
        self,
        network: EmbeddingNetwork,
        device: str | torch.device = "auto",
        dtype: str = "float32",
        flip: str = "none",
        engine: str = "torch",
    ) -> None:
        check_choice("flip", flip, FLIPS)
        check_choice("engine", engine, ENGINES)
        self.recipe = network.recipe
        self.size = network.info.embedding_size * (2 if flip == "concat" else 1)
        self.device = resolve_device(device)
        self.dtype = resolve_dtype(dtype, self.device, network)
        self._inputs = TORCH_DTYPES[self.dtype]
        self._flip = flip
        self._network: Callable[[Tensor], Tensor]
        if isinstance(network, EngineNetwork):
            self._network = self._as_it_is(network, engine)
        elif engine == "openvino":
            self._network = self._in_openvino(network)
        else:
            self._network = for_inference(network, self.device, self._inputs)
            on_cpu = self.device.type == "cpu"
            if on_cpu and self.dtype == "bfloat16" and not _has_bfloat16(self.device):
                listener().remark(
                    network.info.weights_name or network.info.architecture,
                    "this processor has no bfloat16 of its own, so that float32 is faster",
                )

    def embed_batches(
        self,
        batches: Iterable[BatchItem],
        crops: Callable[[BatchItem], NDArray[np.uint8]],
        rows: int | None = None,
    ) -> Iterator[tuple[BatchItem, NDArray[np.float32]]]:
        """Each batch with its embeddings, in order; several are in the network at a time.

        On a CPU one thread per batch beats several threads per layer: layers are small, so
        threads that share one wait for the slowest more than they work, above all on a machine
        that does other things too. On a GPU the second batch hides the copies of the first.

        Args:
            batches: anything that holds crops; taken only a few ahead.
            crops: gives a batch's uint8 RGB (N, H, W, 3); N may be 0.
            rows: see :meth:`embed`.
        """
        threads = torch.get_num_threads()
        streams = self.streams
        each = max(1, threads // streams)
        with ThreadPoolExecutor(streams, "embed", torch.set_num_threads, (each,)) as pool:
            try:
                yield from ordered_map(
                    lambda batch: (batch, pool.submit(self.embed, crops(batch), rows)),
                    lambda started: (started[0], started[1].result()),
                    batches,
                    streams + 1,
                )
            finally:
                pool.shutdown(cancel_futures=True)
                torch.set_num_threads(threads)

    def embed_all(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings of as many crops as there are, by :meth:`embed_batches`.

        Args:
            crops: uint8 RGB (N, H, W, 3), of the recipe's size; N may be 0.

        Raises:
            WeightsError: an embedding is not finite.
        """
        size = DEFAULT_BATCH_SIZE
        batches = [crops[start : start + size] for start in range(0, len(crops), size)]
        found = [part for _, part in self.embed_batches(batches, lambda batch: batch)]
        embeddings = np.concatenate([np.empty((0, self.size), np.float32), *found])
        check_finite(embeddings)
        return embeddings

    @property
    def streams(self) -> int:
        """Batches that are best in the network at once; each has its part of the threads."""
        return min(torch.get_num_threads(), _MOST_STREAMS) if self.device.type == "cpu" else 2

    def _as_it_is(self, network: EngineNetwork, engine: str) -> Callable[[Tensor], Tensor]:
        if engine == "openvino" and network.engine_name != OPENVINO:
            check_has_weights(network)
        self._inputs = torch.float32  # inside it computes as asked
        return network.in_dtype(self.dtype)

    def _in_openvino(self, network: EmbeddingNetwork) -> Callable[[Tensor], Tensor]:
        if self.device.type != "cpu":
            raise UsageError(
                "engine='openvino' runs on the CPU; add device='cpu'",
                "engine='openvino'",
                "device='cpu'",
            )
        from facetool.embedding.openvino_engine import OpenVinoNetwork

        self._inputs = torch.float32  # inside it computes as asked
        return OpenVinoNetwork(network, self.dtype, self.streams, torch.get_num_threads())

    @torch.inference_mode()
    def embed(self, crops: NDArray[np.uint8], rows: int | None = None) -> NDArray[np.float32]:
        """Embeddings of a batch.

        Args:
            crops: uint8 RGB (N, H, W, 3), of the recipe's size; N may be 0.
            rows: fill the batch up to this many images. Libraries sum in another order for
                another size of batch; in batches of one size an image has the same embedding, to
                the last bit, wherever it stands and whatever stands beside it.

        Returns:
            float32 (N, D), not normalised unless the network or ``flip`` does.

        Raises:
            UsageError: they are no such crops.
        """
        if isinstance(crops, np.ndarray) and not len(crops):
            return np.empty((0, self.size), np.float32)
        check_rgb_crops(crops, self.recipe.crop.height, self.recipe.crop.width)
        count = len(crops)
        if rows is not None and count < rows:
            filler = np.zeros((rows - count, *crops.shape[1:]), np.uint8)
            crops = np.concatenate((crops, filler))
        pixels = torch.from_numpy(np.require(crops, requirements=("C", "W")))
        if self.device.type == "cuda":
            pixels = pixels.pin_memory()
        pixels = pixels.to(self.device, non_blocking=True)
        return self._embed_within_memory(pixels)[:count].float().cpu().numpy()

    def _embed_within_memory(self, pixels: Tensor) -> Tensor:
        """The batch in one pass, or in halves where the device's memory does not hold it."""
        if self.device.type == "cpu" and len(pixels) > _MOST_ON_CPU:
            parts = range(0, len(pixels), _MOST_ON_CPU)
            return torch.cat([self._embed(pixels[k : k + _MOST_ON_CPU]) for k in parts])
        try:
            return self._embed(pixels)
        except torch.OutOfMemoryError:
            if len(pixels) == 1:
                raise
        torch.cuda.empty_cache()
        return torch.cat([self._embed_within_memory(half) for half in pixels.tensor_split(2)])

    def _embed(self, pixels: Tensor) -> Tensor:
        inputs = to_input(pixels, self.recipe).to(self._inputs)
        embeddings: Tensor = self._network(inputs)
        if self._flip == "none":
            return embeddings
        mirrored: Tensor = self._network(inputs.flip(3))
        if self._flip == "concat":
            return torch.cat([embeddings, mirrored], dim=1)
        return F.normalize(embeddings.float() + mirrored.float())
