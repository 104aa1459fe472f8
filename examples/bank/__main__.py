"""Run the bank: start its services, send it customers, say what the customers saw."""

import sys
from pathlib import Path

if not __package__:
    # `python examples/bank` runs this file outside its package: find the package beside it.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bank.load import main

if __name__ == "__main__":
    sys.exit(main())
