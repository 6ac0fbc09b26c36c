"""What only the Score images page shows."""
