"""EVALUATE: run cases through a feature, score them, decide."""
