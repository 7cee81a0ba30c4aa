"""How fast: training epochs and optimizer steps, against other libraries and the hardware."""
