"""Better masks from the same weights: what is made of an answer of the decoder, for who asks for it."""
