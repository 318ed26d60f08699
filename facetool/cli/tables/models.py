"""What ``models`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from facetool.cli.tables.columns import format_table


def list_text(rows: Sequence[dict[str, Any]]) -> str:
    """A table of what :func:`facetool.pipeline.models.list_models` returns."""
    cells = []
    for row in rows:
        accuracies = {one["data_set"]: one["value"] for one in row.get("accuracies", [])[::-1]}
        lfw = accuracies.get("LFW")
        cells.append(
            (
                row["name"],
                row["status"],
                None if lfw is None else f"{lfw:.4f}",
                row.get("size"),
                row.get("licence"),
            )
        )
    return format_table(("name", "status", "LFW", "bytes", "licence of the weights"), cells)


def info_text(values: dict[str, Any]) -> str:
    """Lines of what :func:`facetool.pipeline.models.network_info` returns."""
    layers = ", ".join(f"{number} {kind}" for kind, number in values["layers"].items())
    lines = {
        "name": values["name"],
        "architecture": " ".join(filter(None, (values["architecture"], values["variant"]))),
        "described in": values["paper"],
        **_count_lines(values),
        "layers": layers,
        "embedding": f"{values['embedding_size']} dimensions",
        **_recipe_lines(values),
        "threshold": values["threshold"] and _threshold(values["threshold"]),
        "file": values["file"],
        "sha256": values["sha256"],
    }
    blocks = [lines, *[_weights_lines(entry) for entry in values["weights"]]]
    if values.get("layer_counts"):
        return f"{_lines(blocks)}\n\n{_layers_table(values['layer_counts'])}"
    if values["graph"]:
        rows = [(one["name"], one["kind"], _times(one["shape"])) for one in values["graph"]]
        table = format_table(("layer", "kind", "output"), rows)
        return f"{_lines(blocks)}\n\n{table}"
    return _lines(blocks)


def _count_lines(values: dict[str, Any]) -> dict[str, Any]:
    """What a network is made of, or what runs it where that does not say."""
    if values["engine"]:
        bits = ", much of it in 8 bits" if values["has_8_bits"] else ""
        return {
            "run by": f"{values['engine']}, as the file has it{bits}: parameters are not counted",
            "made from": values["made_from"],
        }
    return {
        "parameters": f"{values['parameters']:,}",
        "folded": f"{values['parameters_folded']:,} (batch normalisation inside other layers)",
        "operations": f"{values['flops'] / 1e9:.4f} GFLOPs, "
        f"{values['multiply_adds'] / 1e9:.4f} G multiply-adds a face",
    }


def _layers_table(layers: Sequence[dict[str, Any]]) -> str:
    """A row for each layer, and their sums."""
    columns = ("parameters", "multiply_adds")
    rows = [
        (one["name"], one["kind"], _times(one["output"]), *(one[key] or None for key in columns))
        for one in layers
    ]
    sums = [sum(one[key] for one in layers) for key in columns]
    header = ("layer", "type", "output", "parameters", "multiply-adds")
    return format_table(header, [*rows, ("total", "", "", *sums)])


def _lines(blocks: Sequence[dict[str, Any]]) -> str:
    """Keys and values, a paragraph for each block."""
    width = max(len(key) for block in blocks for key in block)
    return "\n\n".join(
        "\n".join(f"{key:<{width}}  {value}" for key, value in block.items() if value)
        for block in blocks
    )


def _recipe_lines(values: dict[str, Any]) -> dict[str, Any]:
    """How a photo becomes the network's input, or what is missing to say it."""
    recipe = values["recipe"]
    if recipe is None:
        return {
            "input": f"{_times(values['input'])}, channels x height x width",
            "missing": "how a photo becomes that input: --recipe NAME, or --crop, --mean, --scale "
            "and --channels; and --output LAYER where the last layer is not the embedding",
        }
    crop = recipe["crop"]
    return {
        "crop": f"{crop['method']} {crop['width']}x{crop['height']}, {crop['landmarks']}, "
        f"detector {crop['detector']}",
        "input": f"({recipe.get('channels', 'RGB')} 0…255 - {_numbers(recipe['mean'])}) * "
        f"{_numbers(recipe['scale'])}",
        "assumed": ", ".join(values["assumed"]),
    }


def _times(shape: Sequence[int]) -> str:
    return " x ".join(str(size) for size in shape)


def _threshold(threshold: dict[str, Any]) -> str:
    far = "" if threshold["far"] is None else f", false accept rate {threshold['far']:g}"
    return (
        f"same person below squared L2 {threshold['squared_l2']:g} ({threshold['data_set']}{far})"
    )


def _numbers(value: float | Sequence[float]) -> str:
    """One number for all channels, or one each."""
    numbers = [value] if isinstance(value, int | float) else value
    text = ", ".join(f"{number:g}" for number in numbers)
    return text if len(numbers) == 1 else f"({text})"


def _weights_lines(entry: dict[str, Any]) -> dict[str, Any]:
    accuracies = []
    for one in entry["accuracies"]:
        spread = "" if one["std"] is None else f" ± {one['std']:.4f}"
        accuracies.append(f"{one['data_set']} {one['value']:.4f}{spread} ({one['source']})")
    threshold = entry["threshold"]
    return {
        "weights": f"{entry['name']} ({entry['status']})",
        "licence": entry["licence"],
        "accuracy": ", ".join(accuracies),
        "threshold": threshold and _threshold(threshold),
        "published at": entry["page"],
        "path": entry["path"],
        "notes": entry["notes"],
    }


def verify_text(rows: Sequence[dict[str, Any]]) -> str:
    """A table of what :func:`facetool.pipeline.models.verify` returns."""
    cells = []
    for row in rows:
        checked = f"{row['check']} agrees" if row["check"] else "nothing is published to compare"
        cells.append((row["name"], checked if row["ok"] else row["problem"], row["path"]))
    return format_table(("name", "result", "path"), cells)


def detectors_text(rows: Sequence[dict[str, Any]]) -> str:
    """A table of what :func:`facetool.pipeline.models_detectors.list_detectors` returns."""
    cells = [
        (
            row["name"],
            row["status"],
            row["points"] or None,
            ", ".join(row["devices"]),
            row["detect_at"],
            row["licence"],
        )
        for row in rows
    ]
    columns = ("name", "status", "points", "devices", "longer side", "licence")
    scores = "\n".join(f"{row['name']:<12}{row['score']}" for row in rows)
    return f"{format_table(columns, cells)}\n\nscore\n{scores}"
