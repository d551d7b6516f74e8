"""What a person sees: the page to click on (see README.md here), and the command line with all its commands."""
