"""Hyper-parameter search with Optuna: what is drawn, trials that are pruned and resumed, and a page of what mattered.

Only the validation part is asked; no search ever sees the test part.
"""
