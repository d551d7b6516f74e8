"""Where photos come from: folders, patterns and lists, archives, cloud storage; one way to open them all."""
