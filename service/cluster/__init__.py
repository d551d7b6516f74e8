"""Clusters: machines that Ray makes one of."""
