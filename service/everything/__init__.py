"""All objects of a picture: a grid of points, what the decoder says to each, and a choice among that."""
