"""What is measured on a trained network, and what follows from it."""
