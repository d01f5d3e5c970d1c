"""Bayesian linear regression on rows that arrive in portions: what the trainers of POD and of linear ACE share."""
