"""Programs for maintainers; the package does not ship them."""
