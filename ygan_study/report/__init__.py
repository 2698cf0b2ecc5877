"""What is shown of the evidence: tables, figures, verdicts, notebooks, the page. Missing trainings are run by `study.run`."""
