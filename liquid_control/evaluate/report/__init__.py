"""What people read: pages, figures, tables on the terminal."""
