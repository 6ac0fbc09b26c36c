"""What only the Map page shows."""
