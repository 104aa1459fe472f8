"""The words everything else is written in: ids, kinds, values. Standard library only."""
