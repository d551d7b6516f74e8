"""The HTTP service: one Segmenter for many callers. `create_app` in app.py puts the rooms together."""
