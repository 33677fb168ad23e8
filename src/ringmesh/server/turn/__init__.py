"""A TURN relay of our own: coturn, found on this machine and run as a child process."""

from ringmesh.server.turn.managed import ManagedRelay

__all__ = ["ManagedRelay"]
