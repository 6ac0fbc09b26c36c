"""What only the Layers page shows."""
