"""The benchmarks, one module each: ``measure(plan)`` returns its section of the page."""
