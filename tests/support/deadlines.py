"""The deadline of everything that the tests wait for."""

# Seconds. It only ends a test that hangs: no test passes or fails because something takes a while.
DEADLINE = 120.0
