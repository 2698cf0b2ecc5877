"""What is measured on a trained network, and what follows from it. Nothing here knows of jobs or folders."""
