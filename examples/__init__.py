"""Scripts to run by their path, such as `python examples/tutorials/first_solve.py`; README.md lists them."""
