"""`python -m pyode_bridge`."""

import sys

from pyode_bridge.cli import main

sys.exit(main())
