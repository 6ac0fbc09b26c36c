"""What every page stands on: frame, choices, caches, background work, words."""
