"""What a stored run shows: in a browser, in a pull request, to a CI server."""
