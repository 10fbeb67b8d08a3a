"""The commands. Each parses its options, imports one module and calls it: no logic here."""
