"""What operators are taken apart into while they are traced: a file for each kind, and the table of all."""
