"""Controller-side Python of the memory-leak scenario. Nothing of it is needed on the hosts."""
