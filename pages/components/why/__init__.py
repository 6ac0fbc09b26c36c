"""What only the page Why it works shows."""
