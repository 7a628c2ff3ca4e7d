"""The seam between equations and engines: a problem as plain data, and the checks of what it is made of."""
