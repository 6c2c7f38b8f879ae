"""Reports of a run: the table, the files for programs, the page, and the progress bar."""
