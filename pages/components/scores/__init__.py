"""What only the Scores page shows."""
