"""What clickmask does: images in, masks out; files, formats, and the command line."""
