"""What users call: each kind of equation, events, and the solution; every call becomes a problem for an engine here.

Each module is named after what it is about; the public names stand in `pyode_bridge` itself.
"""
