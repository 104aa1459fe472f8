"""Import one module: prints the milliseconds, and how many modules of others came with it.

Usage: import_cost.py MODULE
"""

import sys
import time

name = sys.argv[1]
before = set(sys.modules)
begin = time.perf_counter_ns()
__import__(name)
duration_ms = (time.perf_counter_ns() - begin) / 1e6
loaded = set(sys.modules) - before
own = name.partition(".")[0]
tops = {module.partition(".")[0] for module in loaded}
others = {top for top in tops if top not in sys.stdlib_module_names and top != own}

import json

print(json.dumps({"import_ms": duration_ms, "modules": len(loaded), "others": len(others)}))
