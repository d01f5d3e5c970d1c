"""How far an atom lies outside of what the training set has shown."""
