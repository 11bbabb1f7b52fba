"""The command line `karbor`: what a person at a terminal, or a script, says to the engine."""
