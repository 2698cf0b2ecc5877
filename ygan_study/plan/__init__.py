"""What to train: profiles, variants, deviations of the public code, jobs."""
