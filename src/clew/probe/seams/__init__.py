"""Where clew looks into the program: one module a seam, each with its hooks."""

from clew.probe.seams._registry import install as install
