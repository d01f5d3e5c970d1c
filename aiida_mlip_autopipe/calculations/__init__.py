"""CalcJobs and calcfunctions: where nodes are made."""
