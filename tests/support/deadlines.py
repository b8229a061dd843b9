"""The deadline of everything that the tests wait for. It only ends a test that hangs: a busy machine must meet it."""

DEADLINE = 120.0  # seconds
