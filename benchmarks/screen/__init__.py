"""CPU of sharing a screen, beside capturing it alone."""
