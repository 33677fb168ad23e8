"""How long it takes until people hear the ring and see each other."""
