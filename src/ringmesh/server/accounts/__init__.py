"""Applications, users, sessions and the proofs of who somebody is."""
