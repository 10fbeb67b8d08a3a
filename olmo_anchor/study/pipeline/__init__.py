"""Commands that need one another: what is run, what is shown of it, how long it takes."""
