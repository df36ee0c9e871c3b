"""What every room needs and no room owns: errors, files, records, jobs."""
