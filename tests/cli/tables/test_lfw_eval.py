"""What ``lfw-eval`` prints."""

from facetool.cli.tables.lfw_eval import lfw_eval_text

VERIFIED = {
    "tag": "nn4.small2.v1",
    "protocol": "facenet",
    "metric": "arccos",
    "subtract_mean": True,
    "pairs": {"scored": 5999, "genuine": 3000, "impostors": 2999, "missing": 1, "missed_faces": 1},
    "accuracy": {
        "mean": 0.92916,
        "std": 0.01337,
        "se": 0.00423,
        "thresholds": [0.988, None],
        "folds": [0.92916, None],
    },
    "auc": {"value": 0.98, "averaging": "mean of the folds' curves"},
    "eer": 0.07,
    "tar_at_far": [
        {
            "target": 0.01,
            "tar": 0.75,
            "tar_std": 0.02,
            "impostors_accepted": 29,
            "impostors": 2999,
            "measurable": True,
        },
        {
            "target": 0.001,
            "tar": 0.5,
            "tar_std": None,
            "impostors_accepted": 0,
            "impostors": 2999,
            "measurable": False,
        },
    ],
}

TEXT = """\
embeddings       nn4.small2.v1
protocol         facenet, arccos, mean subtracted
pairs            5,999 scored (3,000 genuine, 2,999 impostor), 1 missing
missed faces     1 image scored by a fallback crop
accuracy         0.9292 ± 0.0134 (std over 1 fold; standard error 0.0042)
AUC              0.9800 (mean of the folds' curves)
EER              0.0700
TAR at FAR 0.01  0.7500 ± 0.0200 (29 of 2,999 impostors accepted)
TAR at FAR 0.001 0.5000 (0 of 2,999 impostors accepted; too few to measure this rate)

fold  threshold  accuracy
   0       0.99    0.9292
   1          -         -"""


def test_lfw_eval_text() -> None:
    assert lfw_eval_text(VERIFIED) == TEXT
