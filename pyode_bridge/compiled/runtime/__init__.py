"""What solves use: compiled functions, checked against torch and kept, and the memory that they work in."""
