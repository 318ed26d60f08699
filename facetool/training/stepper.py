"""One update of the weights: forward, loss, backward, clipping, optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from facetool.errors import UsageError
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.inputs import to_input
from facetool.training.config import TrainConfig
from facetool.training.distributed import Process
from facetool.training.frozen import learns_from_one, plain_scales, set_training
from facetool.training.losses import LOSSES
from facetool.training.losses.base import LossResult
from facetool.training.losses.sharded import ShardedClassifier
from facetool.training.optimizers import create_optimizer

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class StepResult(NamedTuple):
    """The outcome of a step; tensors stay on the device, so that nobody waits for them.

    Attributes:
        loss: mean over the passes.
        correct: how many of ``used`` the network had right.
        used: images, or triplets, that the loss was made of. Without any there was no update.
        norm: of the gradient, before clipping.
    """

    loss: Tensor
    correct: Tensor
    used: Tensor
    norm: Tensor


def _compile(network: EmbeddingNetwork) -> Callable[[Tensor], Tensor]:
    """The network through ``torch.compile``, which does its work, and may fail, when first run."""
    compiled = torch.compile(network)

    def run(inputs: Tensor) -> Tensor:
        try:
            embeddings: Tensor = compiled(inputs)
        except RuntimeError as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            reason = " ".join(str(error).split("\n\n")[0].split())
            raise UsageError(
                f"torch.compile failed, leave compile=True out: {reason}", "compile=True"
            ) from error
        return embeddings

    return run


class _Embed(nn.Module):
    """From pixels to embeddings."""

    def __init__(self, network: EmbeddingNetwork, compiled: bool) -> None:
        super().__init__()
        self.network = network
        self._recipe = network.recipe
        # In a function the compiled form is no submodule with a second name for every weight.
        self._run = _compile(network) if compiled else network.__call__

    def forward(self, pixels: Tensor) -> Tensor:
        """Embeddings (N, D) of uint8 crops (N, H, W, 3)."""
        embeddings: Tensor = self._run(to_input(pixels, self._recipe))
        return embeddings


class _Pass(nn.Module):
    """From pixels to the loss as one module, so that DistributedDataParallel sees all of it."""

    def __init__(self, embed: nn.Module, loss: nn.Module) -> None:
        super().__init__()
        self.embed = embed
        self.loss = loss

    def forward(self, pixels: Tensor, labels: Tensor) -> LossResult:
        """The loss of uint8 crops (N, H, W, 3) and their identities (N,)."""
        result: LossResult = self.loss(self.embed(pixels), labels)
        return result


def _together(module: nn.Module, process: Process) -> DistributedDataParallel:
    """A module whose gradients are averaged over all processes."""
    ids = [process.device.index] if process.device.type == "cuda" else None
    return DistributedDataParallel(module, device_ids=ids)


def _gradients(module: nn.Module) -> list[Tensor]:
    return [one.grad for one in module.parameters() if one.grad is not None]


def _in_main_memory(value: Any) -> Any:
    """Tensors, in dictionaries too, where they can be sent from one process to another."""
    if isinstance(value, dict):
        return {key: _in_main_memory(one) for key, one in value.items()}
    return value.cpu() if isinstance(value, Tensor) else value


class Stepper:
    """Updates a network and the parameters of its loss.

    Args:
        network: moved to the device, in channels_last.
        loss: from :func:`facetool.training.losses.create_loss`; moved to the device.
        config: the run.
        process: this one.
        compiled: run the network through ``torch.compile``; the first step raises UsageError
            where that cannot be, without a C++ compiler for example.

    Raises:
        UsageError: the passes hold a single image, which the network cannot learn from.
    """

    def __init__(
        self,
        network: EmbeddingNetwork,
        loss: nn.Module,
        config: TrainConfig,
        process: Process,
        compiled: bool = False,
    ) -> None:
        self.network = network.to(process.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = loss.to(process.device)
        self._process = process
        self._always = LOSSES[config.loss].sampler_kind == "plain"
        self._clip = config.clip_norm or math.inf
        self._dtype = _DTYPES.get(config.dtype)
        self.optimizer = create_optimizer(
            config.optimizer,
            [self.network, self.loss],
            config.learning_rate,
            config.momentum,
            config.weight_decay,
            config.decay_all,
            classifier=self.loss,
            classifier_decay=config.classifier_decay,
        )
        self.scaler = torch.amp.GradScaler(process.device.type, enabled=config.dtype == "float16")
        self._frozen = plain_scales(self.network) if config.start else []
        if self._always and config.batch_size == 1:
            self._check_single()
        self._parameters = [p for g in self.optimizer.param_groups for p in g["params"]]
        self._sharded = isinstance(self.loss, ShardedClassifier)
        if self._sharded and config.dtype == "float16":
            raise UsageError("a sharded classifier is not trained in float16; give bfloat16")
        embed: nn.Module = _Embed(self.network, compiled)
        self._ddp: DistributedDataParallel | None = None
        if self._sharded:  # each process has a part of the classifier, and all of the network
            self._ddp = embed = _together(embed, process)
        self._pass: nn.Module = _Pass(embed, self.loss)
        if process.size > 1 and not self._sharded:
            self._ddp = self._pass = _together(self._pass, process)

    def step(self, batches: Sequence[tuple[Tensor, Tensor]], learning_rate: float) -> StepResult:
        """Update the weights once.

        Args:
            batches: for each pass, uint8 crops (N, H, W, 3) and identities int64 (N,).
            learning_rate: of this update.
        """
        set_training(self.network, self._frozen)
        self.loss.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad(set_to_none=True)
        results = []
        for number, (pixels, labels) in enumerate(batches, 1):
            # Gradients are exchanged between processes once, with the last pass.
            hold = self._ddp is not None and number < len(batches)
            with self._ddp.no_sync() if self._ddp and hold else nullcontext():
                results.append(self._run_pass(pixels, labels, len(batches)))
        losses, correct, used = (torch.stack(v) for v in zip(*results, strict=True))
        norm = torch.zeros(())
        # Images always make terms, triplets may not; only where they may not is the device asked.
        if self._always or self._process.any(bool(used.any())):
            self.scaler.unscale_(self.optimizer)
            norm = self._clip_gradients()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return StepResult(losses.mean(), correct.sum(), used.sum(), norm)

    def _clip_gradients(self) -> Tensor:
        """Clip to the norm; what it was, with the rows of all processes."""
        if not self._sharded:
            return nn.utils.clip_grad_norm_(self._parameters, self._clip)
        shard = torch.nn.utils.get_total_norm(_gradients(self.loss)).square()
        dist.all_reduce(shard)
        norm = (shard + torch.nn.utils.get_total_norm(_gradients(self.network)).square()).sqrt()
        nn.utils.clip_grads_with_norm_(self._parameters, self._clip, norm)
        return norm

    def _check_single(self) -> None:
        """Refuse passes of one image where batch normalisation has nothing to compare it with."""
        crop = self.network.recipe.crop
        pixels = torch.zeros(1, crop.height, crop.width, 3, dtype=torch.uint8)
        image = to_input(pixels.to(self._process.device), self.network.recipe)
        if not learns_from_one(self.network, self._frozen, image):
            raise UsageError(
                "batch_size=1: the network's batch normalisation needs more than one image in a "
                "pass; give batch_size=2 or more",
                "batch_size=1",
                "batch_size=2",
            )

    def _run_pass(self, pixels: Tensor, labels: Tensor, passes: int) -> LossResult:
        device = self._process.device
        pixels = pixels.to(device, non_blocking=True)
        labels = labels.to(device, non_blocking=True)
        with torch.autocast(device.type, self._dtype, enabled=self._dtype is not None):
            result = LossResult(*self._pass(pixels, labels))
        self.scaler.scale(result.loss / passes).backward()  # type: ignore[no-untyped-call]
        return LossResult(result.loss.detach(), result.correct, result.used)

    def state(self) -> dict[str, Any]:
        """Everything a step changes but the random generators. Every process must take part.

        Of a sharded classifier the first process gets all parts, as ``shards``, by rank.
        """
        state = {
            "network": self.network.state_dict(),
            "loss": self.loss.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        if self._sharded:
            slots = state["optimizer"]["state"]
            own = {number: slots.pop(number) for number in self._shard_numbers() & set(slots)}
            shard = {"loss": _in_main_memory(state["loss"]), "optimizer": _in_main_memory(own)}
            state |= {"loss": {}, "shards": self._process.gather(shard)}
        return state

    def _shard_numbers(self) -> set[int]:
        """Which of the optimizer's parameters are the classifier's."""
        own = {id(parameter) for parameter in self.loss.parameters()}
        return {number for number, one in enumerate(self._parameters) if id(one) in own}

    def load_state(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state` gave.

        Raises:
            RuntimeError, ValueError, KeyError: it belongs to another network, loss or optimizer.
            UsageError: it is of a run whose classifier was sharded and this one's is not, or the
                other way about.
        """
        if ("shards" in state) != self._sharded:
            was, now = ("sharded", "whole") if "shards" in state else ("whole", "sharded")
            raise UsageError(
                f"the run to continue has a {was} classifier, this one a {now} one; give "
                f"shard_classifier={'shards' in state}",
                f"shard_classifier={'shards' in state}",
            )
        self.network.load_state_dict(state["network"])
        loss, optimizer = state["loss"], state["optimizer"]
        if self._sharded:
            shard = state["shards"][self._process.rank]
            loss = shard["loss"]
            optimizer = {**optimizer, "state": {**optimizer["state"], **shard["optimizer"]}}
        self.loss.load_state_dict(loss)
        self.optimizer.load_state_dict(optimizer)
        self.scaler.load_state_dict(state["scaler"])
