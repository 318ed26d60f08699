"""Albums of imaginary people, drawn, so that everything can be tried without a photo."""
