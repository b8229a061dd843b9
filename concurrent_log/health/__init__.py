"""Whether the services that a program depends on work: a monitor, circuit breakers, ready-made checks."""
