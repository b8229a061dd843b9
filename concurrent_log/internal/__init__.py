"""Code that several parts of the package share. Internal."""
