"""An investigation without prior knowledge: what a host shows, what follows from it, and the diagnosis in words."""
