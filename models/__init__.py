"""What SAM is: tensors in, tensors out; and its weights, found, checked and read safely."""
