"""``python -m clew``."""

import sys

from clew.cli.main import main

sys.exit(main())
