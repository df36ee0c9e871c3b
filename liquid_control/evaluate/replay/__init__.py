"""A policy over a recording, compared with what was driven."""
