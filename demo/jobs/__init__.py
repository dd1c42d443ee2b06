"""What the Jobs of a rollback run: they look at the database of the sync systems, mend it, and try old out."""
