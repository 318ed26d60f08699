"""The model server: its HTTP interface, its limits, and the page that uses it."""
