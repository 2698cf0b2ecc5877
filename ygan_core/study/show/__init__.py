"""What is shown of the evidence: tables, figures, verdicts, notebooks, the page. Nothing here trains but `Study.show`."""
