"""What this machine gives: `clickmask bench`."""
