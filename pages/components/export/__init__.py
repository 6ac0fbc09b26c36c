"""What only the Export page shows."""
