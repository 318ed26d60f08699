"""The painting of imaginary people."""
