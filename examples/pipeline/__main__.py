"""Make a night's payment files, send them through the pipeline, say what came out."""

import sys
from pathlib import Path

if not __package__:
    # `python examples/pipeline` runs this file outside its package: find the package beside it.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from pipeline.night import main

if __name__ == "__main__":
    sys.exit(main())
