"""The REST API and the pages: what a team sees of its features."""
