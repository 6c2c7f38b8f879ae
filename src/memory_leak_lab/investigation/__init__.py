"""Investigates a host without prior knowledge: analyses its snapshots and writes evidence and a diagnosis."""
