"""From photos to face crops: detection, choice of faces and alignment together."""
