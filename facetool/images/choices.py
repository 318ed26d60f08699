"""What images can be written as. Light: encoding them needs OpenCV."""

ENCODINGS = ("jpg", "png")
"""Of crops in a record file."""
