"""What the user's arrays are: where they lie, how a row is an image, and in what units."""
