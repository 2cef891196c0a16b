"""Tables and figures -> one HTML file."""
