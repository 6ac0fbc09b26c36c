"""What one page of the dashboard shows, as data."""
