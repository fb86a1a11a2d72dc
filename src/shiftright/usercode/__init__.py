"""The user's own code beside a spec: imported apart from everything else, and known by its content."""
