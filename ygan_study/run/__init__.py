"""Training jobs into their folders, and the store of what is done."""
