"""The Julia engine: DifferentialEquations.jl and SciMLSensitivity.jl in this process, through juliacall."""
