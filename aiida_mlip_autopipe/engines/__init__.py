"""Wings: one for each program, with its settings, its files and the code that runs it."""
