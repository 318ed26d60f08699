"""``facetool serve``."""

from __future__ import annotations

from pathlib import Path

import click

from facetool.cli import options
from facetool.cli.detection_options import DetectionRequest, detection_options


@click.command("serve")
@options.model_option
@options.weights_option
@click.option(
    "--classifier", type=options.FILE, metavar="FILE", help="Classifier that names people."
)
@options.pair_threshold_option
@detection_options
@options.device_option
@options.jobs_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen at; 0 takes a free one.",
)
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="Name that clients call this server by, such as a reverse proxy's; may be repeated.",
)
@click.option(
    "--max-upload",
    type=options.Number(0, min_open=True),
    default=20.0,
    show_default=True,
    metavar="MB",
    help="Largest request.",
)
@click.option(
    "--max-pixels",
    type=options.Number(0, min_open=True),
    default=50.0,
    show_default=True,
    metavar="MILLIONS",
    help="Largest photo, in megapixels.",
)
@click.option(
    "--time-limit",
    type=options.Number(0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest time for a request.",
)
@click.option(
    "--max-requests",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    metavar="N",
    help="Requests in progress or waiting; more are turned away.",
)
def command(
    model: str | None,
    weights: options.WeightsRequest,
    classifier: Path | None,
    threshold: float | None,
    detection: DetectionRequest,
    device: str,
    jobs: int | None,
    host: str,
    port: int,
    allow_host: tuple[str, ...],
    max_upload: float,
    max_pixels: float,
    time_limit: float,
    max_requests: int,
) -> None:
    """Serve face recognition over HTTP, with a web page.

    POST /compare (img1, img2), /embed, /detect and /identify take photos as forms; /docs in a
    browser describes them. The page at / takes photos or a webcam, and names the people that
    are enrolled there. Photos and faces stay in memory, for as long as a request takes.
    """
    from facetool.classification.classifier_file import load_classifier
    from facetool.server.hosts import is_loopback
    from facetool.server.limits import MEGABYTE, Limits
    from facetool.server.recognizer import RecognizerSettings
    from facetool.server.run import ServerSettings, need_serve, serve

    need_serve()  # before the network is loaded

    limits = Limits(
        upload=int(max_upload * MEGABYTE),
        pixels=int(max_pixels * 1_000_000),
        seconds=time_limit,
        requests=max_requests,
    )
    made = None if classifier is None else load_classifier(classifier)
    network = weights.load(model) if made is None else weights.load_for(made, model)
    crop = (made or network).recipe.crop
    settings = ServerSettings(
        host=host,
        port=port,
        allow_host=allow_host,
        recognizer=RecognizerSettings(
            classifier=made,
            detector=detection.detector,
            detection=detection.settings(detection.detector or crop.detector),
            threshold=threshold,
            device=device,
            jobs=jobs,
            limits=limits,
        ),
    )
    if not is_loopback(host):
        click.echo(
            f"warning: everybody who reaches {host} may use this server; it has no password and "
            "no encryption",
            err=True,
        )
    started = False

    def ready(url: str) -> None:
        nonlocal started
        started = True
        click.echo(f"serving {network.info.weights_name} at {url}; Ctrl-C ends it", err=True)

    try:
        serve(network, settings, ready=ready)
    except KeyboardInterrupt:
        if not started:
            raise
