"""Is MSAF worth it? Fusions compared on real data, nested and paired (`main.py evaluate fusion`)."""
