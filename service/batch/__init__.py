"""Folders of photos into folders of results: scan, plan, work, journal, report."""
