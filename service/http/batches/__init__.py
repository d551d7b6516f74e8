"""Batches over HTTP: folders and uploads of photos, segmented beside whoever clicks."""
