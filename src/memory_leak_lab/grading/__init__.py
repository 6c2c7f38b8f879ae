"""Grades diagnoses: checks facts against the ground truth, and reads everything else with regard to negation."""
