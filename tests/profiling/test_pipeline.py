"""The stages measured, photo by photo and by the folder."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from facetool.alignment.recipes import DLIB_CHIP, Crop, override
from facetool.errors import FacetoolError, UsageError
from facetool.files.align_manifest import read_manifest
from facetool.images.folder import list_images
from facetool.images.read import read_image
from facetool.networks.base import EmbeddingNetwork
from facetool.pipeline.align import AlignSettings, align
from facetool.profiling import pipeline
from facetool.profiling.cropping import create_crop_worker, crop_chunk
from facetool.profiling.folder import PROFILE_STAGES, FolderProfile
from facetool.profiling.network import network_to_measure
from facetool.profiling.pipeline import PipelineProfile, profile_pipeline, profile_pipelines
from facetool.profiling.pipeline_settings import PipelineSettings
from facetool.weights.catalogue import crop_of
from facetool.weights.load import load_network


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    return load_network("dlib-resnet")


@pytest.fixture(scope="module")
def settings(network: EmbeddingNetwork) -> PipelineSettings:
    return PipelineSettings(crop=network.recipe.crop, iterations=3, batch_size=4, jobs=2)


@pytest.fixture(scope="module")
def profile(
    album: Path,
    network: EmbeddingNetwork,
    settings: PipelineSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> PipelineProfile:
    """A truncated photo, a file that is none, and a folder of five photos with both."""
    photos = sorted(album.glob("*/*.jpg"))[:5]
    folder = tmp_path_factory.mktemp("folder")
    for number, photo in enumerate(photos):
        (folder / f"{number}.jpg").write_bytes(photo.read_bytes())
    truncated = folder / "1.jpg"
    truncated.write_bytes(truncated.read_bytes()[:-20])
    (folder / "bad.jpg").write_text("no")
    (folder / "raw.cr2").write_bytes(b"II*\0\x10\0\0\0CR\x02\0")
    return profile_pipeline([truncated, folder / "bad.jpg", folder], network, settings)


@pytest.mark.slow
def test_photo(profile: PipelineProfile) -> None:
    (photo,) = profile.photos
    assert list(photo.stages) == ["detection", "alignment", "representation"]
    assert photo.total.count == 3
    assert photo.total.mean == pytest.approx(sum(stage.mean for stage in photo.stages.values()))
    assert all(stage.min > 0 for stage in photo.stages.values())
    assert photo.width > 0 and photo.height > 0


@pytest.mark.slow
def test_folder(profile: PipelineProfile) -> None:
    (folder,) = profile.folders
    assert (folder.images, folder.jobs) == (6, 2)
    assert 1 <= folder.faces <= 5
    assert list(folder.busy) == list(PROFILE_STAGES)
    assert all(share > 0 for share in folder.shares.values())
    assert sum(folder.shares.values()) < 1.01
    assert folder.images_per_second == pytest.approx(6 / folder.wall)
    assert folder.worker_memory is None or folder.worker_memory > 10_000_000


@pytest.mark.slow
def test_a_folder_on_a_gpu(
    album: Path,
    network: EmbeddingNetwork,
    settings: PipelineSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As there: threads that share a detector, in chunks of another size.

    But a single one: hog, unlike what runs on a GPU, is not safe in several.
    """
    monkeypatch.setattr("facetool.profiling.folder.detector_device", lambda name, device: "cpu:0")
    person = sorted(album.iterdir())[0]
    (folder,) = profile_pipeline([person], network, replace(settings, jobs=1)).folders
    assert folder.faces > 0
    assert folder.worker_memory is None
    assert all(share > 0 for share in folder.shares.values())


@pytest.mark.slow
def test_crops_are_those_of_align(album: Path, tmp_path: Path) -> None:
    person = sorted(album.iterdir())[0]
    images = list_images(person)
    cropped = crop_chunk(create_crop_worker(images, DLIB_CHIP, None, "cpu"), images.names)
    align(person, tmp_path, AlignSettings(crop=DLIB_CHIP), jobs=1)
    rows = [row for row in read_manifest(tmp_path / "align.csv") if row.output]
    crops = {one.name: one.crop for one in cropped if one.crop is not None}
    assert len(rows) > 1
    assert [row.input for row in rows] == list(crops)
    for row in rows:
        assert np.array_equal(read_image(tmp_path / row.output), crops[row.input])


@pytest.mark.slow
def test_failures_are_named(profile: PipelineProfile) -> None:
    names = [Path(name).name for name, _ in profile.report.failures]
    assert names == ["1 raw photo", "bad.jpg", "bad.jpg"]
    assert profile.report.remarks == {"truncated": 2}
    assert profile.report.exit_code == 1


def test_bottleneck() -> None:
    busy = {"reading": 1.0, "detection": 6.0, "alignment": 1.0, "representation": 4.0}
    folder = FolderProfile("x", 100, 90, jobs=2, start_up=1, wall=8, busy=busy, worker_memory=None)
    assert folder.shares["detection"] == pytest.approx(0.375)
    assert folder.bottleneck == "representation"  # 4 of 8 seconds, with nobody to share them
    assert folder.milliseconds["detection"] == pytest.approx(60)


def test_json(profile: PipelineProfile) -> None:
    document = json.loads(json.dumps(profile.as_dict()))
    assert document["photos"][0]["stages"]["detection"]["count"] == 3
    assert document["folders"][0]["bottleneck"] in PROFILE_STAGES
    assert document["crop"]["detector"] == "hog"
    assert len(document["failed"]) == 3


@pytest.mark.slow
def test_settings_are_those_that_auto_stood_for(
    album: Path,
    network: EmbeddingNetwork,
    settings: PipelineSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("facetool.embedding.embedder._has_bfloat16", lambda device: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    photo = min(album.glob("*/*.jpg"))
    document = profile_pipeline([photo], network, replace(settings, dtype="auto")).as_dict()
    assert (document["device"], document["dtype"]) == ("cpu", "bfloat16")
    with pytest.raises(UsageError, match="give auto, cpu, cuda or cuda:N"):
        profile_pipeline([photo], network, replace(settings, device="mps"))


@pytest.mark.slow
def test_each_network_is_measured_with_settings_for_its_crop(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_slowly(*given: Any, **stated: Any) -> EmbeddingNetwork:
        time.sleep(1)
        return network_to_measure(*given, **stated)

    monkeypatch.setattr(pipeline, "network_to_measure", load_slowly)
    crops = []

    def settings(crop: Crop) -> PipelineSettings:
        crops.append(crop)
        return PipelineSettings(crop=override(crop, detector="hog"), device="cpu", iterations=1)

    photo = min(album.glob("*/*.jpg"))
    first, second = profile_pipelines([photo], ["dlib-resnet", "mobilefacenet"], settings)
    assert crops == [crop_of("dlib-resnet"), crop_of("mobilefacenet")]
    assert first.network.startswith("dlib-resnet") and second.network.startswith("mobilefacenet")
    assert all(one.start_up is not None and one.start_up > 1 for one in (first, second))


def test_weights_are_of_one_network(settings: PipelineSettings) -> None:
    with pytest.raises(UsageError, match=r"^weights is of one network: give model once$"):
        profile_pipelines([], ["nn4", "nn2"], lambda crop: settings, weights=Path("x.t7"))


@pytest.mark.slow
def test_nothing_to_measure(
    tmp_path: Path, network: EmbeddingNetwork, settings: PipelineSettings
) -> None:
    with pytest.raises(UsageError, match="no images"):
        profile_pipeline([tmp_path], network, settings)
    with pytest.raises(FacetoolError, match="show a face"):
        profile_pipeline([tmp_path / "gone.jpg"], network, settings)
