"""What a person sees: the page to click on. It comes with a later version; nothing is here yet."""
