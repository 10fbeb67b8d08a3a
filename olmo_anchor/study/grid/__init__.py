"""The grid of the study: its file, its arms, and the run of them."""
