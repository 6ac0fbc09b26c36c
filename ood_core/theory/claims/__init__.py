"""Claims of the NAN paper, each with the numbers that decide whether it holds here."""
