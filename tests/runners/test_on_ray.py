"""On Ray the rows are those of the local run, whatever is lost on the way."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import copyfile, copytree
from threading import Thread
from time import monotonic, sleep

import pytest

from facetool.errors import UsageError
from facetool.jobs.worker_process import WORKER_DIED
from facetool.pipeline.align import AlignSettings
from facetool.pipeline.embed import EmbedSettings, embed
from facetool.pipeline.merge import merge
from facetool.pipeline.represent import RepresentSettings
from facetool.weights.catalogue import crop_of
from facetool.weights.load import load_network
from tests.runners import killer

SETTINGS = EmbedSettings(
    align=AlignSettings(crop=crop_of("dlib-resnet")),
    represent=RepresentSettings(batch_size=4),
    per_shard=2,
)


def test_without_ray_one_line_says_what_to_install(album, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'facetool\[ray\]'"):
        embed(album, tmp_path / "out", load_network("dlib-resnet"), SETTINGS, ray="auto")


@pytest.mark.slow
def test_a_lost_node_and_a_photo_that_kills_workers_change_nothing(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = copytree(album, tmp_path / "album")
    copyfile(next(photos.glob("*/*.jpg")), photos / "kills.png")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    monkeypatch.setattr("facetool.runners.cropping._create_worker", killer.create_worker)
    monkeypatch.setattr("facetool.runners.cropping._crop_chunk", killer.crop_chunk)
    monkeypatch.setattr("facetool.runners.on_ray._embed_shard", killer.embed_shard)
    ray = pytest.importorskip("ray")
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    network = load_network("dlib-resnet")
    here = embed(photos, tmp_path / "here", network, SETTINGS, jobs=1)
    assert here.failures == [("kills.png", WORKER_DIED)]
    merge(tmp_path / "here", tmp_path / "wanted")
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)
    out = tmp_path / "out"

    def lose() -> None:
        deadline = monotonic() + 120
        while len(list(out.glob("faces/plan-*"))) < 3 and monotonic() < deadline:
            sleep(0.01)
        cluster.remove_node(second, allow_graceful=False)

    try:
        ray.init(cluster.address, log_to_driver=False)
        loser = Thread(target=lose)
        loser.start()
        report = embed(photos, out, network, SETTINGS, ray=cluster.address)
        loser.join()
        deadline = monotonic() + 60  # Ray takes its time to notice
        while sum(node["Alive"] for node in ray.nodes()) > 1 and monotonic() < deadline:
            sleep(0.1)
        assert sum(node["Alive"] for node in ray.nodes()) == 1
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert report == here
    merge(out, tmp_path / "reps")
    for name in ("reps.npy", "labels.csv"):
        assert (tmp_path / "reps" / name).read_bytes() == (tmp_path / "wanted" / name).read_bytes()
