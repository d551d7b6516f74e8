"""Strangers' images are decoded in processes of their own: `DecodePool` in pool.py hands them out."""
