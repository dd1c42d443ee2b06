"""`python -m demo`: a five-phase migration carried out on real parts, shown live in the terminal."""
