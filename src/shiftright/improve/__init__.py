"""The way back: from what users say to cases that the next version has to pass."""
