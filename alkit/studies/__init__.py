"""Side-by-side studies with statistics."""
