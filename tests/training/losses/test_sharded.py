"""A classifier split over two processes is the classifier that one process has."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, multiprocessing, nn
from torch import distributed as dist

from facetool.errors import UsageError
from facetool.training.losses import create_loss
from facetool.training.losses.base import ClassificationLoss
from facetool.training.losses.sharded import ShardedClassifier

SIZE, COUNT, CLASSES, D = 2, 6, 7, 5
LOSSES: dict[str, dict[str, Any]] = {
    "softmax": {},
    "arcface": {"scale": 8.0},
    "cosface": {"scale": 8.0},
    "combined": {"scale": 8.0, "m1": 0.9, "m2": 0.4, "m3": 0.15},
}


def classifier(name: str, **options: Any) -> ClassificationLoss:
    torch.manual_seed(3)
    loss = create_loss(name, D, CLASSES, seed=1, **LOSSES[name], **options).double()
    assert isinstance(loss, ClassificationLoss)
    return loss


def images() -> tuple[Tensor, Tensor]:
    """Of both processes, some people in both."""
    generator = torch.Generator().manual_seed(5)
    embeddings = torch.randn(SIZE * COUNT, D, generator=generator, dtype=torch.float64)
    return embeddings, torch.randint(CLASSES, (SIZE * COUNT,), generator=generator)


def equal_weights(loss: ClassificationLoss) -> ClassificationLoss:
    """Classes 1 and 2, of one process, 0 and 5, of two, and all of no embedding score alike."""
    with torch.no_grad():
        loss.weight[2], loss.weight[5] = loss.weight[1], loss.weight[0]
    return loss


def equal_images() -> tuple[Tensor, Tensor]:
    """Each class' own direction, and zeros."""
    embeddings, _ = images()
    weight = equal_weights(classifier("softmax")).weight.detach()
    embeddings[:CLASSES] = 3 * weight
    embeddings[CLASSES:] = 0
    return embeddings, torch.arange(SIZE * COUNT) % CLASSES


def process(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=SIZE)
    embeddings, labels = images()
    mine = slice(rank * COUNT, (rank + 1) * COUNT)
    results: dict[str, dict[str, Tensor]] = {}
    for name in LOSSES:
        loss = ShardedClassifier(classifier(name), rank, SIZE)
        own = embeddings[mine].clone().requires_grad_()
        result = loss(own, labels[mine])
        result.loss.backward()
        assert own.grad is not None
        found = {"loss": result.loss.detach(), "correct": result.correct, "used": result.used}
        found |= {"embeddings": own.grad}
        found |= {
            key: value.grad for key, value in loss.named_parameters() if value.grad is not None
        }
        results[name] = found
    for name in ("softmax", "arcface"):
        loss = ShardedClassifier(equal_weights(classifier(name)), rank, SIZE)
        embeddings, labels = equal_images()
        results[f"{name}, equal"] = {"correct": loss(embeddings[mine], labels[mine]).correct}
    embeddings, labels = images()
    sampled = ShardedClassifier(classifier("arcface", fraction=0.3), rank, SIZE)
    optimizer = torch.optim.SGD(sampled.parameters(), lr=0.5)
    free = nn.Parameter(embeddings[mine].clone())
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        result = sampled(free, labels[mine])
        result.loss.backward()
        optimizer.step()
        losses.append(result.loss.detach())
    results["sampled"] = {"losses": torch.stack(losses)}
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    folder: Path = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(process, (str(folder),), nprocs=SIZE)  # type: ignore[no-untyped-call, attr-defined]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(SIZE)]


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_gradients_are_those_of_the_whole(
    sharded: list[dict[str, dict[str, Tensor]]], name: str
) -> None:
    whole = classifier(name)
    embeddings, labels = images()
    embeddings.requires_grad_()
    expected = whole(embeddings, labels)
    expected.loss.backward()
    parts = [one[name] for one in sharded]
    for part in parts:
        torch.testing.assert_close(part["loss"], expected.loss.detach(), atol=1e-12, rtol=1e-12)
        assert part["used"] == COUNT
    assert sum(int(part["correct"]) for part in parts) == int(expected.correct)
    # DistributedDataParallel divides the network's gradients by the number of processes.
    joined = torch.cat([part["embeddings"] for part in parts]) / SIZE
    assert embeddings.grad is not None
    torch.testing.assert_close(joined, embeddings.grad, atol=1e-12, rtol=1e-10)
    for key, parameter in whole.named_parameters():
        rows = torch.cat([part[f"whole.{key}"] for part in parts])
        assert parameter.grad is not None
        torch.testing.assert_close(rows, parameter.grad, atol=1e-12, rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["softmax", "arcface"])
def test_of_equal_scores_the_first_counts(
    sharded: list[dict[str, dict[str, Tensor]]], name: str
) -> None:
    expected = int(equal_weights(classifier(name))(*equal_images()).correct)
    assert 0 < expected < CLASSES
    assert sum(int(one[f"{name}, equal"]["correct"]) for one in sharded) == expected


@pytest.mark.slow
def test_a_share_of_the_classes_learns(sharded: list[dict[str, dict[str, Tensor]]]) -> None:
    first, second = (one["sampled"]["losses"] for one in sharded)
    torch.testing.assert_close(first, second)
    assert first[-5:].mean() < 0.5 * first[:5].mean()


def test_every_process_needs_a_class() -> None:
    with pytest.raises(UsageError, match="7 identities cannot be split over 8 processes"):
        ShardedClassifier(classifier("arcface"), 0, 8)


def test_parts_are_the_rows_of_the_whole() -> None:
    whole = classifier("softmax")
    parts = [ShardedClassifier(classifier("softmax"), rank, 3) for rank in range(3)]
    assert torch.equal(torch.cat([part.whole.weight for part in parts]), whole.weight)
    assert [len(part.whole.weight) for part in parts] == [2, 2, 3]
