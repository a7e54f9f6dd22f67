"""Is MSAF worth it? Fusions compared, nested and paired: `main.py evaluate fusion`."""
