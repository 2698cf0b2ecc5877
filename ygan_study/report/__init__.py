"""What is shown of the evidence: tables, figures, notebooks, the book. Missing trainings are run by
`study.run`.
"""
