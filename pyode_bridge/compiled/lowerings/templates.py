"""Templates of Julia's expressions that several lowerings share, ``{0}`` for the first operand."""

ADD, SUBTRACT, MULTIPLY = "{0} + {1}", "{0} - {1}", "{0} * {1}"
CHOOSE = "ifelse({0}, {1}, {2})"
COPY = "{0}"
