"""What only the Neurons page shows."""
