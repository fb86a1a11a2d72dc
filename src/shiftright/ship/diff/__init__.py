"""Model diff: what changes for real inputs when one side of a feature takes the place of another."""
