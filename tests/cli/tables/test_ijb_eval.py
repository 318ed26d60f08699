"""What ``ijb-eval`` prints."""

from facetool.cli.tables.ijb_eval import ijb_eval_text

IDENTIFICATION = {
    "probes": 10270,
    "gallery": 1772,
    "rank": {"1": 0.95, "5": 0.975},
    "tpir_at_fpir": [{"target": 0.01, "tpir": 0.9, "measurable": True}],
}

TEMPLATES = {
    "images": 227630,
    "templates": 1,
    "pairs": {"genuine": 10270, "impostors": 8000000},
    "verification": [
        {"target": 1e-06, "tar": 0.9, "far": 0.0, "measurable": False},
        {"target": 0.0001, "tar": 0.95432, "far": 0.0000998, "measurable": True},
    ],
    "identification": IDENTIFICATION,
}

TEXT = """\
227,630 images, 1 template

1:1, 10,270 genuine and 8,000,000 impostor pairs
FAR                        TAR %  FAR reached
1e-06 (too few impostors)  90.00  0
0.0001                     95.43  9.98e-05

1:N, 10,270 probes in a gallery of 1,772
rate               %
rank-1             95.00
rank-5             97.50
TPIR at FPIR 0.01  90.00"""


def test_ijb_eval_text() -> None:
    assert ijb_eval_text(TEMPLATES) == TEXT


def test_too_few_probes_for_a_rate_are_said() -> None:
    rates = [{"target": 0.01, "tpir": 0.9, "measurable": False}]
    few = {**TEMPLATES, "identification": {**IDENTIFICATION, "tpir_at_fpir": rates}}
    assert "\nTPIR at FPIR 0.01 (too few probes)  90.00" in ijb_eval_text(few)
