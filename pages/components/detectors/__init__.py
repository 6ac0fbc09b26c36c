"""What only the Detectors page shows."""
