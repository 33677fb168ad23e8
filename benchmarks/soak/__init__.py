"""Memory of a long call."""
