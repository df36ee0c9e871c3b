"""Evidence: replay comparison, closed-loop scores, reports."""
