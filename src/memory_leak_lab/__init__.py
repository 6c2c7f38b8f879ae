"""Controller-side Python of the memory-leak scenario. The hosts need none of it."""
