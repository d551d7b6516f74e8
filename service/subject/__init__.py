"""The one thing a photo is of, found without a click: what is unlike the border stands out."""
