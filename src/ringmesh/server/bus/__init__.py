"""The bus between the nodes of one deployment: one contract, chosen in `ringmesh.server.app`."""

from ringmesh.server.bus.contract import Bus, Deliver
from ringmesh.server.bus.in_process import InProcessBus

__all__ = ["Bus", "Deliver", "InProcessBus"]
