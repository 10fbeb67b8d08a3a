"""What the study found: its runs' own files, collected; the paper's claims, weighed; a page."""
