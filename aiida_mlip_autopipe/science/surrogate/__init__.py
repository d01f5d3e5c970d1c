"""A machine-learning surrogate for the reference: what it says of structures before any of them is labelled."""
