"""SHIP: what may be merged, released, and served to whom."""
