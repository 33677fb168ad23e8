"""How soon accepted events are at the provider, and what pushes cost those who talk."""
