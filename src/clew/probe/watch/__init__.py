"""What ``--watch`` records: reads and writes of attributes, globals and dict items."""

from clew.probe.watch.session import install as install
from clew.probe.watch.session import last_words as last_words
