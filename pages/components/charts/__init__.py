"""What several pages draw with: figures, galleries, the threshold, the neuron map."""
