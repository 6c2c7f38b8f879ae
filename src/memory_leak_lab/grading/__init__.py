"""Grading of diagnoses: what can be checked is checked against the ground truth, the rest is read with negation in mind."""
