"""How results show: as figures, tables of other packages, and HTML in notebooks."""
