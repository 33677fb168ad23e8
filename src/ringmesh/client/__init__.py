"""The asyncio SDK: everything between the application and the pure cores."""

import logging

logging.getLogger("ringmesh").addHandler(logging.NullHandler())
