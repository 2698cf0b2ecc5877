"""What is shown of the evidence: tables, figures, notebooks, and the book."""
