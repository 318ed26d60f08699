"""What ``identify`` prints."""

from facetool.cli.tables.identify import identify_text

IDENTIFIED = {
    "probes": {"images": 1},
    "gallery": {"images": 3530},
    "pairs": 2,
    "identification": [
        {"distractors": 10, "cmc": [0.5, 0.75, 1.0]},
        {"distractors": 1000000, "cmc": [0.25, 0.5, 0.75]},
    ],
    "verification": {
        "tar_at_far": [
            {
                "target": 1e-06,
                "tar": 0.5,
                "genuine": 2,
                "genuine_accepted": 1,
                "impostors": 1000,
                "impostors_accepted": 0,
                "measurable": False,
            }
        ]
    },
    "noise": {
        "lists": [{"path": "facescrub_noises.txt", "listed": 605, "found": 2}],
        "images_replaced": 1,
        "distractors_removed": 2,
    },
}

TEXT = """\
1 probe, 3,530 gallery images, 2 pairs of probe and mate

distractors  rank-1  rank-2
         10  0.5000  0.7500
  1,000,000  0.2500  0.5000

FAR    TAR     genuine accepted  impostors accepted
1e-06  0.5000  1 of 2            0 of 1,000 (too few)

noise list            images listed  found here
facescrub_noises.txt  605            2
1 image replaced by their person's centre, 2 distractors removed"""


def test_identify_text() -> None:
    assert identify_text(IDENTIFIED) == TEXT
