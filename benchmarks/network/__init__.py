"""Calls on bad and changing networks."""
